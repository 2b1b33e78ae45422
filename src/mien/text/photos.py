"""What is said of a photo: what can be wrong with it, what type a file has, why `convert` leaves one alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from mien.text.kinds import Kind

Group = Literal["empty", "not-a-picture", "unsupported", "missing-extra", "bomb", "truncated", "unreadable", "tool"]
"""The words that sum up what can be wrong with a photo, for programs and for counts."""

_FETCH_AGAIN = "Fetch the photo again, or take the file out of the folder."
_EXPORT = "Save it as a JPEG and use that, or take the file out of the folder."
_SMALLER = "If the photo is genuine, save a smaller copy and use that; otherwise delete it."


class PhotoFault(Kind):
    """What can be wrong with a photo. `words` are said of the photo ("is empty"), so that a path before them makes a
    sentence; `group` sums up. The figure `file_type`, where the words have it, is a word of `FileType`; `said` is what
    the decoder or the system said."""

    group: Group

    def __new__(cls, word: str, group: Group, words: str, remedy: str) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.group, member.words, member.remedy, member.needs_human = group, words, remedy, True
        return member

    # The file
    NO_SUCH_FILE = ("no such file", "unreadable", "does not exist", "Check the name.")
    NOT_A_FILE = ("not a file", "not-a-picture", "is a folder, pipe or device", "Name a photo.")
    FORBIDDEN = ("forbidden", "unreadable", "may not be read", "Give yourself permission to read it.")
    BROKEN_LINK = (
        "broken link",
        "unreadable",
        "is a link to nothing",
        "Connect the drive to which it leads, or remove the link.",
    )
    NAME = ("name", "unreadable", "has a name that is not Unicode", "Rename it, and run the same command again.")
    KEY = (
        "key",
        "unreadable",
        "has a key that no file could have as its path",
        "Delete it, or copy it to a key like Ada/1.jpg.",
    )
    NAME_TOO_LONG = ("name too long", "unreadable", "has a name that is too long for a copy of it", "Rename it.")
    DISK = ("disk", "unreadable", "cannot be read ({said})", "Check the disk, or copy the file anew.")

    # Its bytes
    EMPTY = ("empty", "empty", "is empty", _FETCH_AGAIN)
    NOT_A_PICTURE = ("not a picture", "not-a-picture", "is not a photo mien can read; it is {file_type}", _FETCH_AGAIN)
    UNSUPPORTED = ("unsupported", "unsupported", "is not a photo mien can read; it is {file_type}", _EXPORT)
    ARCHIVE = (
        "archive",
        "not-a-picture",
        "is not a photo but {file_type}, which may hold photos",
        "Unpack it, and give mien the folder with what was in it.",
    )
    SHORTCUT = (
        "shortcut",
        "not-a-picture",
        "is not a photo but {file_type}, which only says where something is",
        "Give mien the photo or the folder to which it leads.",
    )
    VARIANT = ("variant", "unsupported", "is {file_type} of a kind mien cannot read ({said})", _EXPORT)
    MISSING_EXTRA = (
        "missing extra",
        "missing-extra",
        "is {file_type}, and reading those needs a part that is not installed",
        "Install it (`pip install pillow-jxl-plugin` for JPEG XL), or save the photo as a JPEG and use that.",
    )
    NO_PREVIEW = (
        "no preview",
        "unsupported",
        "is {file_type} without a preview in which faces could be found",
        "Export it as a JPEG and use that, or take the file out of the folder.",
    )
    BREAKS_OFF = ("breaks off", "truncated", "is {file_type} that breaks off ({said})", _FETCH_AGAIN)
    DAMAGED = ("damaged", "unreadable", "is {file_type} that is damaged ({said})", _FETCH_AGAIN)

    # Its size
    TOO_LARGE = ("too large", "bomb", "is too large ({megabytes:,.0f} MB; the limit is {limit:,.0f})", _SMALLER)
    TOO_MANY_PIXELS = (
        "too many pixels",
        "bomb",
        "claims {megapixels:,.0f} million pixels, more than mien decodes",
        _SMALLER,
    )
    TOO_MANY_SCANS = (
        "too many scans",
        "bomb",
        "has a progressive coding that takes too much work to undo",
        _SMALLER,
    )
    TOO_MUCH_MEMORY = ("too much memory", "bomb", "would take too much memory to decode", _SMALLER)

    SHORT_OF_MEMORY = (
        "short of memory",
        "unreadable",
        "could not be decoded, as memory was short",
        "Close other programs, or set workers = 1 in mien.toml; the next run tries it again.",
    )
    TOO_LONG = ("too long", "bomb", "took more than {seconds} seconds to decode", _SMALLER)
    HUNG = (
        "hung",
        "unreadable",
        "could not be read within {seconds} seconds",
        "Check the disk or the network drive that it lies on; the next run tries it again.",
    )
    KILLED = (
        "killed",
        "unreadable",
        "was being decoded when the system ended the decoder",
        "Close other programs, or set workers = 1 in mien.toml; the next run tries it again.",
    )
    BREAKS_DECODER = ("breaks decoder", "unreadable", "makes the decoder break down", _EXPORT)

    STOPS_MIEN = (
        "stops mien",
        "unreadable",
        "was being looked at when mien was stopped, and broke down again when it was tried alone",
        f"{_SMALLER} What breaks down twice is left out until its file changes, or mien or Pillow is updated.",
    )

    # The tools that see it: `tool` is what failed, `said` how
    TOOL = (
        "tool",
        "tool",
        "could not be seen. {tool} {said}",
        "Report it to whoever made that tool, with the traceback.",
    )

    def say(self, figures: Mapping[str, object]) -> str:
        """Its words, filled. Raises KeyError for a figure that is missing, ValueError for an unknown `file_type`."""
        if "file_type" in figures:
            figures = {**figures, "file_type": FileType.of(str(figures["file_type"])).words}
        return super().say(figures)


class FileType(Kind):
    """What a file is by its first bytes. `words` complete "it is ..."; `fault` is what is wrong with such a file as a
    photo, None for those that mien decodes."""

    fault: PhotoFault | None

    def __new__(cls, word: str, words: str, fault: PhotoFault | None = None) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.words, member.remedy, member.needs_human, member.fault = words, "", False, fault
        return member

    # Photos. The word is Pillow's name of the format where it has one, and `Photo.format`. Of a RAW file the preview is
    # decoded.
    JPEG = ("JPEG", "a JPEG file")
    PNG = ("PNG", "a PNG file")
    GIF = ("GIF", "a GIF file")
    WEBP = ("WEBP", "a WebP file")
    BMP = ("BMP", "a BMP file")
    TIFF = ("TIFF", "a TIFF file")
    AVIF = ("AVIF", "an AVIF file")
    HEIF = ("HEIF", "a HEIC file")
    JPEG2000 = ("JPEG2000", "a JPEG 2000 file")
    PPM = ("PPM", "a PPM file")
    PCX = ("PCX", "a PCX file")
    SGI = ("SGI", "an SGI file")
    TGA = ("TGA", "a TGA file")
    JPEG_XL = ("jpeg xl", "a JPEG XL picture")
    RAW = ("raw", "a camera's RAW file")

    # Pictures that mien does not decode
    PHOTOSHOP = ("photoshop", "a Photoshop document", PhotoFault.UNSUPPORTED)
    POSTSCRIPT = ("postscript", "a PostScript drawing", PhotoFault.UNSUPPORTED)
    WMF = ("wmf", "a Windows drawing (WMF)", PhotoFault.UNSUPPORTED)
    SVG = ("svg", "a drawing (SVG)", PhotoFault.UNSUPPORTED)
    ICON = ("icon", "an icon", PhotoFault.UNSUPPORTED)
    DDS = ("dds", "a game texture (DDS)", PhotoFault.UNSUPPORTED)
    FITS = ("fits", "a telescope's picture (FITS)", PhotoFault.UNSUPPORTED)
    XPM = ("xpm", "an X11 icon (XPM)", PhotoFault.UNSUPPORTED)
    SUN_RASTER = ("sun raster", "a Sun raster picture", PhotoFault.UNSUPPORTED)

    # Anything else
    PDF = ("pdf", "a PDF document", PhotoFault.NOT_A_PICTURE)
    VIDEO = ("video", "a video", PhotoFault.NOT_A_PICTURE)
    ZIP = ("zip", "an archive (ZIP)", PhotoFault.ARCHIVE)
    GZIP = ("gzip", "an archive (gzip)", PhotoFault.ARCHIVE)
    OTHER_ARCHIVE = ("other archive", "an archive", PhotoFault.ARCHIVE)
    SHORTCUT = ("shortcut", "a shortcut", PhotoFault.SHORTCUT)
    HTML = ("html", "a web page (HTML)", PhotoFault.NOT_A_PICTURE)
    XML = ("xml", "an XML document", PhotoFault.NOT_A_PICTURE)
    TEXT = ("text", "text", PhotoFault.NOT_A_PICTURE)
    OTHER = ("other", "of no kind mien knows", PhotoFault.NOT_A_PICTURE)


def of_preview(file_type: str, width: int, height: int) -> str:
    """What is to be known of a photo of this type and size of which only a preview was seen; "" of any other."""
    return f"its embedded preview was looked at, {width} x {height}" if file_type == FileType.RAW else ""


class LeftAlone(Kind):
    """Why `convert` makes no copy of a photo."""

    TAKEN = ("taken", "there is a file of that name already")
    SAME_FORMAT = ("same format", "it is one already")
