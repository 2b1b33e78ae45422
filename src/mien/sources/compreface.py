"""A CompreFace that is running: its subjects and their pictures, by its REST API.

What is asked, below /api/v1/recognition, each with the key of one recognition service in the header x-api-key:

    GET faces?page=N&size=M     {"faces": [{"image_id", "subject"}], "page_number", "total_pages", "total_elements"}
    GET faces/IMAGE_ID/img      the picture as it was uploaded; 404 where CompreFace was set to save none

An image_id is the id of a row of its table `embedding`, which never gets another picture: so a dump of the database and
the API name a picture alike. Whatever answers is taken for a stranger: pages and their number are bounded, ids must be
UUIDs, and names are those that the caller accepts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from mien.errors import FetchError, SourceError
from mien.protocols import Sink, Web
from mien.sources.common import fetch_error, offered, source_error
from mien.text.fetching import FetchFault, SourceFault
from mien.types import Offer, Page, Receipt

KEY_HEADER = "x-api-key"
API = "/api/v1/recognition"

PAGE = 1000
"""Pictures that are asked for at once. CompreFace is a Spring application, whose pages hold 2,000 at most."""

MOST_PAGES = 10_000
"""Pages that are read: ten million pictures. More are those of a server that never ends."""

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_KEY_REFUSED = (
    "Check the address, and the key: it is that of a recognition service, as CompreFace shows it in its list of"
    " services, and is given by the environment variable MIEN_COMPREFACE_KEY or by --key-file."
)


@dataclass(slots=True)
class CompreFace:
    """The `Source` of what one key of the CompreFace at `url` opens. `web` sends that key along. `unsaved` are the
    pictures that it did not keep, as far as they were asked for."""

    name: str
    url: str
    web: Web
    unsaved: set[str] = field(default_factory=set)

    def offers(self) -> Iterator[Offer | FetchError]:
        """Page by page. Raises SourceError where the first cannot be had."""
        seen: set[str] = set()
        for number in range(MOST_PAGES):
            url = f"{self.url}{API}/faces?page={number}&size={PAGE}"
            try:
                faces, pages, total = _read(self.name, self.web.page(url))
            except FetchError as error:
                if number == 0:
                    raise self._unlisted(error) from error
                yield _again(error)
                return
            before = len(seen)
            for image, subject in faces:
                if not _UUID.fullmatch(image):
                    what = f"names a picture of {subject[:40]!r} by {image[:40]!r}, which is no UUID"
                    yield fetch_error(self.name, what, "Look whether it is a CompreFace that answers there.")
                elif image not in seen:
                    seen.add(image)
                    yield offered(self.name, Offer(image, subject, image, stamp=image))
            if number + 1 >= pages or not faces:
                if len(seen) < total:
                    what = f"says that it has {total:,} pictures, and listed {len(seen):,}"
                    yield fetch_error(self.name, what, "Import again: pictures may have come in, or gone, meanwhile.")
                return
            if len(seen) == before:
                break  # the same page again and again
        yield fetch_error(self.name, "lists its pictures without an end", "Import from a dump of its database.")

    def _unlisted(self, error: FetchError) -> SourceError:
        """Why nothing can be listed: the first page could not be had."""
        by_key = error.kind in (FetchFault.REFUSED, FetchFault.GONE)
        why = "does not know this key (HTTP 404)" if error.kind is FetchFault.GONE else error.what
        what = f"could not be listed: {error.about} {why}"
        return source_error(self.name, what, _KEY_REFUSED if by_key else _again(error).remedy, SourceFault.UNLISTED)

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        """The picture as it was uploaded."""
        try:
            self.web.picture(f"{self.url}{API}/faces/{offer.location}/img", into, "")
        except FetchError as error:
            if error.kind is FetchFault.GONE:
                self.unsaved.add(offer.location)
            raise _again(error) from error.__cause__
        return Receipt(offer.stamp)


def _again(error: FetchError) -> FetchError:
    """The error with what to do said of an import, which no `collect` repeats."""
    remedy = error.remedy.replace("collect again", "import again").replace("Collect again", "Import again")
    return FetchError(error.about, error.what, remedy.replace("mien collect", "mien import"), error.kind)


def _read(name: str, page: Page) -> tuple[list[tuple[str, str]], int, int]:
    """(image id, subject) of the pictures that a page lists, how many pages there are, and how many pictures in all.
    Raises FetchError for anything but such a page."""
    try:
        found = json.loads(page.body)
        faces = [(str(one["image_id"]).lower(), str(one["subject"])) for one in found["faces"]]
        return faces, _number(found, "total_pages"), _number(found, "total_elements")
    except (ValueError, TypeError, KeyError, RecursionError) as error:
        what = f"gives, at {page.url.partition('?')[0]}, something else than a list of faces"
        raise fetch_error(name, what, "Look whether it is a CompreFace that answers there.") from error


def _number(found: dict[str, object], key: str) -> int:
    value = found.get(key)
    return value if isinstance(value, int) else 0
