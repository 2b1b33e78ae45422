"""/v1/people: who is in the album; a person is renamed, joined with another, removed; the last correction is undone."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.requests import Request

from mien.album import Album
from mien.errors import UsageError
from mien.pipeline.correct import Corrected
from mien.pipeline.remove import Removed
from mien.records.keys import Key
from mien.server.house import Asks, House, house_of
from mien.server.once import Once, idempotent
from mien.server.problems import Problem
from mien.server.v1.pages import Cursor, Limit, after, cursor_of
from mien.server.v1.shapes import Shape, problems
from mien.server.v1.told import CHANGING, READING, FindingShape, PersonName, about_json, said, without_paths
from mien.stages.people import Listed
from mien.text.access import Scope
from mien.text.names import LONGEST_NAME, nfc

router = APIRouter(prefix="/v1", tags=["people"])
changing = APIRouter(prefix="/v1", tags=["people"], route_class=Once, dependencies=[Depends(idempotent)])

Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]


class PersonShape(Shape):
    """Somebody in the album: how many `photos` there are, on what `basis` they may be recognised, since when they are
    in the album and until which day they may be recognised (ISO 8601), and whether the model in use knows them."""

    person: str
    photos: int
    basis: str | None
    since: str | None
    until: str | None
    known: bool


class PeopleShape(Shape):
    """People by name; `next` is the cursor of the page after this, null for the last."""

    people: list[PersonShape]
    next: str | None


class PhotoShape(Shape):
    """A photo, by the SHA-256 of its bytes; `copies` are the files in which it lies."""

    id: str
    bytes: int
    copies: int


class PersonPage(PersonShape):
    """A person with the photos of a page, by their ids."""

    page: list[PhotoShape]
    next: str | None


class MovedShape(Shape):
    """A file or a person's folder, where it was and where it is, as mien writes it."""

    was: str
    now: str


class CorrectedShape(Shape):
    """What a correction did, as `mien rename --json` and its like print it."""

    verb: str
    people: list[str]
    person: str
    moved: list[MovedShape]
    new: bool
    alike: list[str]
    there: int
    copies: int
    version: str | None
    unlearned: str | None
    older: list[str]
    mentioned: list[str]
    left_out: list[str]


class RemovedShape(Shape):
    """What left the album: how many `files`, `kept` of them in removed-images. `version` is in use now; `older` models
    still know the person, and `dropped` ones were deleted. `mentioned`: mien.toml still has the name."""

    person: str
    files: int
    kept: int
    version: str | None
    older: list[str]
    dropped: list[str]
    mentioned: bool


class Renaming(BaseModel):
    """Either the new `name` of a person, or `into`, the person that this one is as well."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"minProperties": 1, "maxProperties": 1})

    name: Name = Field(default="", description="The new name, which nobody in the album has.")
    into: Name = Field(default="", description="Another person of the album, who is the same: that name stays.")

    @model_validator(mode="after")
    def _one(self) -> Renaming:
        if len(self.model_fields_set) != 1:
            raise ValueError('say either "name" or "into"')
        return self


class CheckedShape(Shape):
    """What a human should look at, as `mien check --json` prints it; `ids` are the ids of the photos that are named."""

    people: int
    photos: int
    model: str | None
    needs_human: bool
    findings: list[FindingShape]
    confirmed: int
    ids: dict[str, str]


@router.get("/people", responses=problems(*READING))
async def people(
    request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))], limit: Limit = 50, cursor: Cursor = None
) -> PeopleShape:
    """Who is in the album, by name."""
    start = after("people", cursor)
    found = await house_of(request).ask(lambda album: album.people(start, limit + 1))
    further = cursor_of("people", found[limit - 1].person) if len(found) > limit else None
    return PeopleShape.model_validate({"people": [one.to_json() for one in found[:limit]], "next": further})


@router.get("/people/{person}", responses=problems(404, *READING))
async def person(
    request: Request,
    _: Annotated[Key, Depends(Asks(Scope.REVIEW))],
    person: PersonName,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> PersonPage:
    """A person, and the ids of their photos."""
    start = after("photos", cursor)

    def look(album: Album) -> dict[str, Any]:
        one = require_person(album, person)
        photos = [photo for photo in album.photos_of(one.person) if photo.sha256 > start]
        page = [{"id": each.sha256, "bytes": each.bytes, "copies": len(each.files)} for each in photos[:limit]]
        further = cursor_of("photos", photos[limit - 1].sha256) if len(photos) > limit else None
        return {**one.to_json(), "page": page, "next": further}

    return PersonPage.model_validate(await house_of(request).ask(look))


@changing.delete("/people/{person}", responses=problems(404, *CHANGING))
async def remove(
    request: Request,
    key: Annotated[Key, Depends(Asks(Scope.ADMIN))],
    person: PersonName,
    delete: Annotated[bool, Query(description="Delete the photos instead of setting them aside.")] = False,
    everywhere: Annotated[
        bool,
        Query(
            description="Delete all that the album holds of the person: photos, also those set aside, models and their "
            "pages, what is remembered of photos asked about, records, the name."
        ),
    ] = False,
) -> RemovedShape:
    """Takes a person out of the album and out of the model in use. No source brings them back."""

    def take_out(album: Album) -> Removed:
        if not everywhere:  # which also finds what is left of somebody who is in no folder
            require_person(album, person)
        try:
            return album.remove(person, delete=delete, everywhere=everywhere)
        except UsageError:
            raise nobody(person) from None

    return removed_shape(person, await house_of(request).change(request, key, take_out))


@changing.patch("/people/{person}", **about_json(Renaming, 404))
async def rename(
    request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))], person: PersonName
) -> CorrectedShape:
    """Gives a person another name, or makes one person of two names. What sources offer under the old name comes in
    under the new one."""
    house, wanted = house_of(request), await said(request, Renaming)

    def correct(album: Album) -> Corrected:
        require_person(album, person)
        return album.rename(person, wanted.name) if wanted.name else album.join(person, wanted.into)

    return corrected_shape(house, await house.change(request, key, correct))


@changing.post("/undo", responses=problems(*CHANGING))
async def undo(
    request: Request,
    key: Annotated[Key, Depends(Asks(Scope.ADMIN))],
    dry_run: Annotated[bool, Query(description="Only say what it would do.")] = False,
) -> CorrectedShape:
    """Undoes the last move, rename, join or confirm; asked again, the one before."""
    house = house_of(request)
    if dry_run:
        return corrected_shape(house, await house.ask(lambda album: album.undo(dry_run=True)))
    return corrected_shape(house, await house.change(request, key, lambda album: album.undo()))


@router.get("/check", responses=problems(*READING))
async def check(
    request: Request,
    _: Annotated[Key, Depends(Asks(Scope.REVIEW))],
    waiting: Annotated[bool, Query(description="Look at what was collected and is not merged yet, instead.")] = False,
) -> CheckedShape:
    """What in the album needs a human, and what is left out, as far as the last job looked at the photos."""
    house = house_of(request)

    def look(album: Album) -> dict[str, Any]:
        found = album.check(waiting)
        named = {photo for finding in found.findings for photo in finding.photos}
        ids = album.photo_ids() if named else {}
        return {**found.to_json(), "ids": {photo: ids[photo] for photo in sorted(named) if photo in ids}}

    return CheckedShape.model_validate(without_paths(await house.ask(look), house.resident.folder))


def require_person(album: Album, name: str) -> Listed:
    """The person of this name. Raises Problem (404) for nobody's name."""
    found = album.person(name)
    if found is None:
        raise nobody(name)
    return found


def nobody(name: str) -> Problem:
    """Nobody has this name."""
    what, remedy = f"Nobody in the album is called {nfc(name)}.", "GET /v1/people names all who are in it."
    return Problem(HTTPStatus.NOT_FOUND, "no-person", what, remedy)


def removed_shape(person: str, done: Removed) -> RemovedShape:
    """What a removal did, without paths."""
    return RemovedShape(
        person=nfc(person),
        files=len(done.files),
        kept=len(done.now),
        version=done.version,
        older=list(done.older),
        dropped=list(done.dropped),
        mentioned=done.mentioned,
    )


def corrected_shape(house: House, done: Corrected) -> CorrectedShape:
    """What a correction did."""
    return CorrectedShape.model_validate(without_paths(done.to_json(), house.resident.folder))
