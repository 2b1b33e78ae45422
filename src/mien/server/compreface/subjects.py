"""Subjects, which are mien's people: listed, added, renamed or joined, removed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request

from mien.album import Album
from mien.errors import UsageError
from mien.records.keys import Key
from mien.server.bodies import json_of, whole
from mien.server.compreface.errors import PREFIX, no_parameter, no_subject, subject_exists, wrong_parameter
from mien.server.house import Asks, house_of
from mien.storage.layout import Layout
from mien.storage.walk import has_photo, people_of
from mien.text.access import Scope
from mien.text.names import folded, nfc, valid_person
from mien.text.system_folders import is_of_cameras

router = APIRouter(prefix=f"{PREFIX}/recognition/subjects", include_in_schema=False)


@router.get("")
async def listed(request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))]) -> dict[str, list[str]]:
    """Everybody in the album by name, in the order of the alphabet, also those without a photo."""
    return {"subjects": await house_of(request).ask(people)}


@router.post("", status_code=201)
async def add(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> dict[str, str]:
    """A subject that has no photo yet."""
    name = valid_person(await _named_in(request))

    def work(album: Album) -> None:
        if who(album, name) is not None or not album.add_person(name):
            raise subject_exists(name)

    await house_of(request).change(request, key, work)
    return {"subject": name}


@router.put("/{subject:path}")
async def rename(request: Request, subject: str, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> dict[str, bool]:
    """Gives a subject another name; where somebody has that, the two become one."""
    name = valid_person(await _named_in(request))

    def work(album: Album) -> None:
        person = require(album, subject)
        if person == name:
            return
        other = _spelt(people(album), name)
        if other is None or other == person:
            album.readmit(name)
            album.rename(person, name)
            return
        album.readmit(other)
        if has_photo(_layout(album), person):
            album.join(person, other)
        else:
            album.remove(person)

    await house_of(request).change(request, key, work)
    return {"updated": True}


@router.delete("")
async def remove_all(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> dict[str, int]:
    """Everybody leaves the album, as one subject does."""

    def work(album: Album) -> int:
        found = people(album)
        for person in found:
            album.remove(person, everywhere=True)
        return len(found)

    return {"deleted": await house_of(request).change(request, key, work)}


@router.delete("/{subject:path}")
async def remove(request: Request, subject: str, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> dict[str, str]:
    """Everything of a subject is deleted, as `mien remove NAME --everywhere` does it."""
    if not subject.strip():  # DELETE /subjects/ is a name that is missing, and not everybody
        raise no_parameter("subject")

    def work(album: Album) -> str:
        person = who(album, subject)
        if person is None:
            return _remove_rest(album, subject)
        album.remove(person, everywhere=True)
        return person

    return {"subject": await house_of(request).change(request, key, work)}


def _remove_rest(album: Album, subject: str) -> str:
    """Deletes what is left of somebody who has no folder: photos that were set aside, older models. Raises Problem
    where that is nothing."""
    try:
        rest = album.remove(subject, everywhere=True)
    except UsageError:
        raise no_subject(subject) from None
    if not rest.files and not rest.dropped:
        raise no_subject(subject)
    return nfc(subject)


def people(album: Album) -> list[str]:
    """Everybody in the album, by name."""
    return [name for name in people_of(_layout(album)) if not is_of_cameras(name)]


def who(album: Album, subject: str) -> str | None:
    """The person whom a client means: of this name, of one that differs in letter case alone, as CompreFace takes the
    two for one, or who was called so before. None where there is nobody. Raises Problem where several may be meant."""
    known = people(album)
    found = _spelt(known, subject)
    if found is not None:
        return found
    now = album.called_now(nfc(subject))
    return now if now in known else None


def _spelt(known: Sequence[str], subject: str) -> str | None:
    """Who of those `known` has this name, or else the one whose name differs in letter case alone. Raises Problem where
    those are several."""
    name = nfc(subject)
    if name in known:
        return name
    same = [one for one in known if folded(one) == folded(name)]
    if len(same) > 1:
        raise wrong_parameter("subject", subject, f"the name of one subject, in its own letter case: {', '.join(same)}")
    return same[0] if same else None


def require(album: Album, subject: str) -> str:
    """The same. Raises Problem where there is nobody."""
    found = who(album, subject)
    if found is None:
        raise no_subject(subject)
    return found


def _layout(album: Album) -> Layout:
    return Layout.of(album.folder, album.settings)


async def _named_in(request: Request) -> str:
    """The subject that a JSON body names. Raises Problem."""
    said: Any = json_of(await whole(request, house_of(request).bounds))
    name = said.get("subject") if isinstance(said, dict) else None
    if name is None or name == "":
        raise no_parameter("subject")
    if not isinstance(name, str):
        raise wrong_parameter("subject", str(name), "a text")
    return name
