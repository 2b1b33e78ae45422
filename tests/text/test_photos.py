"""What can be wrong with a photo is a kind and figures, and makes a sentence with the photo's path."""

from __future__ import annotations

import copy
import json
import pickle
from collections.abc import Callable
from typing import get_args

import pytest

from mien.errors import PhotoError
from mien.text.photos import FileType, Group, LeftAlone, PhotoFault
from mien.text.words import Figure

FIGURES: dict[str, Figure] = {
    "file_type": "PNG",
    "said": "cannot handle {0}-bit layers",
    "tool": "The detector x-1",
    "megabytes": 600.2,
    "seconds": 4,
    "limit": 512,
    "megapixels": 3600,
}
"""All that any fault is filled with."""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (PhotoFault.NO_SUCH_FILE, "does not exist"),
        (PhotoFault.NOT_A_FILE, "is a folder, pipe or device"),
        (PhotoFault.FORBIDDEN, "may not be read"),
        (PhotoFault.DISK, "cannot be read (cannot handle {0}-bit layers)"),
        (PhotoFault.EMPTY, "is empty"),
        (PhotoFault.NOT_A_PICTURE, "is not a photo mien can read; it is a PNG file"),
        (PhotoFault.UNSUPPORTED, "is not a photo mien can read; it is a PNG file"),
        (PhotoFault.VARIANT, "is a PNG file of a kind mien cannot read (cannot handle {0}-bit layers)"),
        (PhotoFault.MISSING_EXTRA, "is a PNG file, and reading those needs a part that is not installed"),
        (PhotoFault.BREAKS_OFF, "is a PNG file that breaks off (cannot handle {0}-bit layers)"),
        (PhotoFault.DAMAGED, "is a PNG file that is damaged (cannot handle {0}-bit layers)"),
        (PhotoFault.TOO_LARGE, "is too large (600 MB; the limit is 512)"),
        (PhotoFault.TOO_MANY_PIXELS, "claims 3,600 million pixels, more than mien decodes"),
        (PhotoFault.TOO_MANY_SCANS, "has a progressive coding that takes too much work to undo"),
        (PhotoFault.TOO_MUCH_MEMORY, "would take too much memory to decode"),
    ],
)
def test_a_fault_and_its_photo_are_a_sentence(fault: PhotoFault, said: str) -> None:
    error = PhotoError("a b.jpg", fault, FIGURES)
    assert (error.about, error.what, error.remedy) == ("a b.jpg", said, fault.remedy)
    assert error.message == f"a b.jpg {said}." and str(error) == f"a b.jpg {said}. {fault.remedy}"
    assert error.exit_code == 6


def test_every_fault_is_summed_up_has_a_remedy_and_needs_a_human() -> None:
    assert {fault.group for fault in PhotoFault} == set(get_args(Group))
    for fault in PhotoFault:
        assert fault.needs_human and fault.remedy.endswith(".")
        assert PhotoError("a.jpg", fault, FIGURES).kind == fault.group


def again(error: PhotoError) -> PhotoError:
    return PhotoError.restored(error.about, *error.stored())


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error)), again])
@pytest.mark.parametrize("fault", PhotoFault)
def test_an_error_survives(fault: PhotoFault, way: Callable[[PhotoError], PhotoError]) -> None:
    error = PhotoError("a.jpg", fault, FIGURES)
    made = way(error)
    assert made is not error and type(made) is PhotoError
    assert (str(made), made.about, made.kind) == (str(error), "a.jpg", error.kind)
    assert made.fault is fault and made.figures == FIGURES


def test_an_error_is_kept_without_the_path_and_made_again_for_another() -> None:
    error = PhotoError("old/a.jpg", PhotoFault.NOT_A_PICTURE, {"file_type": FileType.TEXT.value})
    word, figures = error.stored()
    assert (word, json.loads(figures)) == ("not a picture", {"file_type": "text"})
    moved = PhotoError.restored("new/b.jpg", word, figures)
    assert moved.message == "new/b.jpg is not a photo mien can read; it is text."


@pytest.mark.parametrize(
    ("fault", "figures"),
    [
        ("of a later version", "{}"),
        ("breaks off", '{"said": "eof"}'),
        ("breaks off", '{"said": "eof", "file_type": "of a later version"}'),
        ("empty", "3"),
        ("empty", "{"),
    ],
)
def test_what_was_not_stored_is_not_made_again(fault: str, figures: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        PhotoError.restored("a.jpg", fault, figures)


@pytest.mark.parametrize(
    ("error", "fault", "figures"),
    [
        (FileNotFoundError(2, "No such file"), PhotoFault.NO_SUCH_FILE, {}),
        (PermissionError(13, "Permission denied"), PhotoFault.FORBIDDEN, {}),
        (OSError(5, "Input/output error"), PhotoFault.DISK, {"said": "Input/output error"}),
        (OSError("odd"), PhotoFault.DISK, {"said": "odd"}),
        (ValueError("embedded null byte"), PhotoFault.DISK, {"said": "embedded null byte"}),
    ],
)
def test_what_the_system_says_of_a_file(error: OSError, fault: PhotoFault, figures: dict[str, Figure]) -> None:
    made = PhotoError.of_file("a.jpg", error)
    assert (made.fault, made.figures) == (fault, figures)


def test_programs_get_the_sum_the_sentence_and_the_remedy() -> None:
    assert PhotoError("a.jpg", PhotoFault.EMPTY).to_json() == {
        "kind": "empty",
        "message": "a.jpg is empty.",
        "remedy": "Fetch the photo again, or take the file out of the folder.",
    }


def test_every_type_of_file_completes_a_sentence() -> None:
    for file_type in FileType:
        assert file_type.words and not file_type.words.endswith(".")
        named_by_pillow = file_type.fault is None and file_type not in (FileType.RAW, FileType.JPEG_XL)
        assert named_by_pillow == file_type.value.isupper(), "Pillow's names of formats are in capitals"


def test_why_a_photo_is_left_alone() -> None:
    assert {why.value: why.words for why in LeftAlone} == {
        "taken": "there is a file of that name already",
        "same format": "it is one already",
    }
