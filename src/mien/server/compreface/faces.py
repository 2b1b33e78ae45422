"""The faces of the collection, which are the photos in training-images: added, listed, fetched, removed.

The id of a photo is made of its person's id and of its SHA-256: it stays as long as the photo is of that person, also
when the person is renamed, and no table has to keep it.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from mien.album import Album
from mien.errors import PhotoError
from mien.records.keys import Key
from mien.server import incoming
from mien.server.bodies import json_of, whole
from mien.server.compreface.errors import (
    PREFIX,
    many_faces,
    no_face,
    no_image,
    no_parameter,
    wrong_parameter,
)
from mien.server.compreface.queries import query_of, subject_of, threshold
from mien.server.compreface.queries import whole as number
from mien.server.compreface.recognise import find, picture_of, seen_in
from mien.server.compreface.subjects import people, who
from mien.server.house import Asks, house_of
from mien.server.problems import Problem
from mien.stages.stored import StoredPhoto
from mien.text.access import Scope
from mien.text.names import valid_person

router = APIRouter(prefix=PREFIX, include_in_schema=False)

PAGE, MOST_ON_PAGE = 20, 2000
"""Faces on a page where nothing is asked, and at most (Spring's figures, by which CompreFace has them)."""


@router.post("/recognition/faces", status_code=201)
async def add(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> dict[str, str]:
    """A picture of one face comes in under a subject, who may be new, and is recognised by the next request."""
    house, query = house_of(request), query_of(request)
    if "subject" not in query:
        raise no_parameter("subject")
    subject, least = valid_person(query["subject"]), threshold(query)
    picture = await picture_of(house, request)
    (seen,) = await seen_in(house, [picture])
    faces = [one for one in seen.faces if one.face.detector_score >= least]
    if not faces:
        raise no_face()
    if len(faces) > 1:
        raise many_faces(len(faces))
    image_id, name = await house.change(request, key, lambda album: _add(album, subject, picture))
    return {"image_id": image_id, "subject": name}


@router.get("/recognition/faces")
async def listed(request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))]) -> dict[str, Any]:
    """A page of the photos in the album, by subject."""
    query = query_of(request)
    page = number(query, "page", 0)
    size = min(number(query, "size", PAGE, least=1), MOST_ON_PAGE)
    subject = subject_of(request)
    found = await house_of(request).ask(lambda album: _of(album, subject))
    return {
        "faces": [_named(one) for one in found[page * size : (page + 1) * size]],
        "page_number": page,
        "page_size": size,
        "total_pages": math.ceil(len(found) / size),
        "total_elements": len(found),
    }


@router.delete("/recognition/faces")
async def remove_subject(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> dict[str, int]:
    """All photos of a subject are deleted, and the subject with them; of everybody where no subject is named."""
    subject = subject_of(request)

    def work(album: Album) -> int:
        photos = _of(album, subject)
        person = None if subject is None else who(album, subject)
        for one in people(album) if subject is None else [person] if person else []:
            album.remove(one, delete=True)
        return len(photos)

    return {"deleted": await house_of(request).change(request, key, work)}


@router.delete("/recognition/faces/{image_id}")
async def remove(request: Request, image_id: str, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> dict[str, str]:
    """A photo is deleted."""
    done = await house_of(request).change(request, key, lambda album: _remove(album, [image_id]))
    if not done:
        raise no_image(image_id)
    return _named(done[0])


@router.post("/recognition/faces/delete")
async def remove_several(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> list[dict[str, str]]:
    """Photos are deleted; of those that are not there nothing is said."""
    house = house_of(request)
    ids = json_of(await whole(request, house.bounds))
    if not isinstance(ids, list) or not all(isinstance(one, str) for one in ids):
        raise wrong_parameter("the body", str(ids), "a list of image ids")
    done = await house.change(request, key, lambda album: _remove(album, ids)) if ids else []
    return [_named(one) for one in done]


@router.get("/recognition/faces/{image_id}/img")
async def image(request: Request, image_id: str, _: Annotated[Key, Depends(Asks(Scope.REVIEW))]) -> Response:
    """The bytes of a photo."""
    return await _image(request, image_id)


@router.get("/static/{key}/images/{image_id}")
async def static(request: Request, key: str, image_id: str) -> Response:
    """The same with the key in the address, where the settings allow that."""
    house = house_of(request)
    if not house.resident.settings.server.key_in_path:
        remedy = (
            f"GET {PREFIX}/recognition/faces/{image_id}/img has it; key_in_path of [server] in mien.toml allows it."
        )
        raise Problem(404, "no-such-address", "No picture is served at an address with a key in it.", remedy)
    request.state.key = (await house.door.admit(request, Scope.REVIEW, key)).name
    return await _image(request, image_id)


async def _image(request: Request, image_id: str) -> Response:
    def work(album: Album) -> bytes:
        photo = find(album, image_id)
        return album.photo_bytes(album.folder / photo.path)

    data = await house_of(request).ask(work)
    return Response(data, media_type=incoming.media_type_of(data))


def _add(album: Album, subject: str, picture: bytes) -> tuple[str, str]:
    """The id of a picture that was added, and whose it is."""
    name, sha256 = who(album, subject) or subject, hashlib.sha256(picture).hexdigest()
    added = incoming.add(album, name, [picture])
    for error in (*added.failures, *added.unreadable):
        raise PhotoError("The picture", error.fault, error.figures)
    there = next(one for one in album.stored_photos() if (one.person, one.sha256) == (name, sha256))
    return there.id, name


def _of(album: Album, subject: str | None) -> list[StoredPhoto]:
    """The photos of a subject, or of everybody, by subject and path; a photo that lies twice under one counts once."""
    person = who(album, subject) if subject is not None else None
    if subject is not None and person is None:
        return []
    found = {one.id: one for one in reversed(album.stored_photos()) if person in (None, one.person)}
    return sorted(found.values(), key=lambda one: (one.person, one.path))


def _remove(album: Album, ids: Collection[str]) -> list[StoredPhoto]:
    """Deletes the photos of these ids, all copies of each; those that there were."""
    wanted = {one.lower() for one in ids}
    going: dict[str, list[StoredPhoto]] = defaultdict(list)
    for one in album.stored_photos():
        if one.id in wanted:
            going[one.person].append(one)
    for person, photos in going.items():
        album.remove(person, [album.folder / one.path for one in photos], delete=True)
    gone = {one.id: one for photos in going.values() for one in photos}
    return [gone[one] for one in dict.fromkeys(each.lower() for each in ids) if one in gone]


def _named(photo: StoredPhoto) -> dict[str, str]:
    return {"image_id": photo.id, "subject": photo.person}
