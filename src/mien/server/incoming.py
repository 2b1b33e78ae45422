"""Pictures of a request come into the album, under a person whom the model in use then knows at once."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus

from starlette.requests import Request

from mien.album import Added, Album
from mien.errors import PhotoError
from mien.records.keys import Key
from mien.server.house import House
from mien.server.problems import Problem
from mien.storage.leftovers import scratch_folder
from mien.storage.photo_names import photo_name
from mien.types import Photo


async def enrol(house: House, request: Request, key: Key, person: str, pictures: Sequence[bytes]) -> Added:
    """Adds those of the `pictures` that show a face. Raises PhotoError, or Problem, where none does; nothing of the
    others is kept."""
    seen = await house.look(partial(house.resident.see, name="the picture"), pictures)
    good = [
        (picture, one.photo)
        for picture, one in zip(pictures, seen, strict=True)
        if not isinstance(one, PhotoError) and one.faces
    ]
    if not good:
        raise next((one for one in seen if isinstance(one, PhotoError)), None) or no_face()
    return await house.change(request, key, lambda album: _add(album, person, good))


def no_face() -> Problem:
    """No picture of a request has a face."""
    remedy = "Send a picture in which a face is at least 40 pixels wide."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no-face", "No face found in image.", remedy)


def _add(album: Album, person: str, pictures: Sequence[tuple[bytes, Photo]]) -> Added:
    with scratch_folder() as folder:
        files = []
        for data, photo in pictures:
            # Named by its content: a picture that comes again is known, and names from elsewhere may be anybody's.
            file = folder / photo_name(hashlib.sha256(data).hexdigest()[:16], photo.format)
            file.write_bytes(data)
            files.append(file)
        return album.add(person, files, enrol=True)
