"""Pictures of a request, as files and in the album: what they are by their bytes, and how they come in.

A picture that comes in is named by its bytes, so that one that comes again is known; names from elsewhere may be
anybody's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from mien.album import Added, Album
from mien.storage.scratch import scratch_folder
from mien.text.photos import FileType
from mien.vision.sniff import sniff

SNIFFED = 4096
"""Bytes by which the type of a picture is told."""
TYPES: dict[FileType, tuple[str, str]] = {
    FileType.JPEG: (".jpg", "image/jpeg"),
    FileType.PNG: (".png", "image/png"),
    FileType.GIF: (".gif", "image/gif"),
    FileType.WEBP: (".webp", "image/webp"),
    FileType.BMP: (".bmp", "image/bmp"),
    FileType.TIFF: (".tif", "image/tiff"),
    FileType.AVIF: (".avif", "image/avif"),
    FileType.HEIF: (".heic", "image/heic"),
    FileType.JPEG2000: (".jp2", "image/jp2"),
    FileType.PPM: (".ppm", "image/x-portable-pixmap"),
    FileType.PCX: (".pcx", "image/vnd.zbrush.pcx"),
    FileType.SGI: (".sgi", "image/sgi"),
    FileType.TGA: (".tga", "image/x-tga"),
    FileType.JPEG_XL: (".jxl", "image/jxl"),
    FileType.RAW: (".dng", "application/octet-stream"),
}
"""By the type that the first bytes show, how the name of a file ends, and what HTTP calls it."""

MEDIA_TYPES = tuple(dict.fromkeys(kind for _, kind in TYPES.values()))


def add(album: Album, person: str, pictures: Sequence[bytes], enrol: bool = True) -> Added:
    """Adds pictures under a person by way of files, as `Album.add` does. Their origin is the server, and the
    key by which they came. Raises what that raises."""
    with scratch_folder() as folder:
        files = {folder / f"{hashlib.sha256(data).hexdigest()[:16]}{ending_of(data)}": data for data in pictures}
        for file, data in files.items():
            file.write_bytes(data)
        return album.add(person, list(files), enrol, origin=f"server:{album.by.key}")


def ending_of(data: bytes) -> str:
    """How the name of a file ends that holds the bytes of a picture."""
    return TYPES.get(sniff(data[:SNIFFED], ""), (".jpg", ""))[0]


def media_type_of(data: bytes) -> str:
    """What HTTP calls the bytes of a picture."""
    return TYPES.get(sniff(data[:SNIFFED], ""), ("", "application/octet-stream"))[1]
