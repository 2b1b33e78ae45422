"""Names of people and of files: the form in which they are compared, whether they can be a folder's name, and which of
them may be one name by a mistake of writing."""

from __future__ import annotations

import difflib
import json
import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import NamedTuple

from mien.errors import UsageError
from mien.text.system_folders import is_of_cameras, is_of_systems
from mien.text.words import listed

FILE_NAME = "mien.toml"
"""The file with an album's settings, whose presence makes a folder an album."""

LONGEST_NAME = 200
"""Bytes of UTF-8 in a name that mien makes; file systems take 255, and an ending or a number may have to be added."""

_WINDOWS_DEVICE = re.compile(r"(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])\s*(\..*)?", re.IGNORECASE)


_INVISIBLE = re.compile(
    # Unicode's Default_Ignorable_Code_Point and the marks of interlinear notes, without the two joiners and the two
    # overrides of the direction of writing, which are seen by what they do to the letters around them
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u202a-\u202c\u2060-\u206f\u3164"
    "\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]+"
)
_JOINERS = re.compile("[\u200c\u200d]+")
_SPACES = re.compile("[ \u00a0\u1680\u2000-\u200a\u202f\u205f\u2800\u3000]+")  # U+2800: Braille without a dot
_OVERRIDES = "\u202d\u202e"

_JOINED = re.compile(
    "[\u0600-\u08ff\ufb50-\ufdff\ufe70-\ufeff"  # Arabic script, Syriac, Mandaic
    "\u0900-\u0dff\u0f00-\u109f\u1780-\u18af\u1a00-\u1aff\u1b00-\u1c4f\ua800-\uabff\U00010a00-\U00011fff]"
)
"""Letters of scripts in which a joiner between two of them changes how they are written."""


def nfc(name: str) -> str:
    """The form in which names are compared: names that are equal to the eye are one name.

    It is NFC without letters that nobody sees (zero width, marks of direction, soft hyphens, variation selectors and
    their like), with a plain space for each kind and run of spaces, and none at the ends. Joiners stay where they are
    seen: in Arabic and Indic scripts, and in pictures made of several. A name of which nothing would be left stays as
    it is, in NFC.
    """
    composed = unicodedata.normalize("NFC", name)
    if composed.isascii():
        return " ".join(part for part in composed.split(" ") if part) or composed
    seen = _JOINERS.sub(_joiner, _INVISIBLE.sub("", composed))
    return unicodedata.normalize("NFC", _SPACES.sub(" ", seen).strip(" ")) or composed


def _joiner(found: re.Match[str]) -> str:
    """What is kept of a run of joiners: the first, between two letters that it joins or holds apart."""
    start, end = found.span()
    before, after = found.string[max(start - 1, 0) : start], found.string[end : end + 1]
    both = before + after
    joins = len(both) == 2 and (_JOINED.match(before) and _JOINED.match(after))
    of_pictures = found[0][0] == "\u200d" and all(unicodedata.category(each) in ("So", "Sk") for each in both)
    return found[0][0] if joins or (of_pictures and len(both) == 2) else ""


def valid_person(name: str) -> str:
    """`name` in the form in which names are compared, if it can be a folder's name on Linux, macOS and Windows alike:
    albums are carried about.

    Raises UsageError; a name is bent no further, as two people might become one.
    """
    name = nfc(name)
    if problem := _problem(name):
        raise UsageError(
            quoted_name(name), f"cannot be a person's name: {problem}", "Choose a name that a folder can have."
        )
    return name


def _problem(name: str) -> str | None:
    if not _SPACES.sub("", _JOINERS.sub("", _INVISIBLE.sub("", name))).strip():
        return "nothing in it can be seen" if name else "it is empty"
    if bad := sorted({c for c in name if c in '/\\<>:"|?*'}):
        return f"{' '.join(bad)} cannot stand in a folder's name on every system"
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in name):
        return "there is a control character in it"
    if set(_OVERRIDES) & set(name):
        return "a letter that nobody sees turns its direction"
    if name.startswith("."):
        return "it begins with a dot, which hides a folder"
    if name != name.strip() or name.endswith("."):
        return "it begins or ends with a space, or ends with a dot"
    if is_of_systems(name) or is_of_cameras(name) or _WINDOWS_DEVICE.fullmatch(name):
        return "systems or cameras call a folder of their own so"
    if len(name.encode()) > LONGEST_NAME:
        return f"it is longer than {LONGEST_NAME} bytes"
    return None


def folded(name: str) -> str:
    """Two names that are equal so folded may be one file on macOS or Windows."""
    return nfc(nfc(name).casefold())


def mistakable(name: str) -> tuple[str, str]:
    """Two names of people that are equal in one of these may be one folder on macOS or Windows, or look the same: a
    Cyrillic A is a Latin one to the eye."""
    return folded(name), folded(name.translate(_LOOKS_LATIN))


def shortened(name: str) -> str:
    """The first `LONGEST_NAME` bytes of a name, as far as they are text."""
    return name.encode(errors="ignore")[:LONGEST_NAME].decode(errors="ignore")


def is_unicode(name: str) -> bool:
    """Whether it can be stored as text: Linux file names are bytes, and Python carries odd ones as lone surrogates."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def quoted_name(name: str) -> str:
    """The name in quotation marks; what nobody could see of it is written as "\\u200b"."""
    shown = json.dumps(name, ensure_ascii=not is_unicode(name))
    return re.sub(f"[{_OVERRIDES}]|{_INVISIBLE.pattern}", lambda found: json.dumps(found[0])[1:-1], shown)


# --- Names that may be one by a mistake of writing


_SLIPS = ((10, 2), (5, 1), (0, 0))
"""Letters that the longer of two names has at least, and by how many slips of typing the two may then differ. In a name
below five letters one slip is too much of it: Ann and Ian, Erik and Erin are two people."""

_LETTERS = str.maketrans(
    {"ø": "o", "đ": "d", "ð": "d", "ł": "l", "ħ": "h", "ŧ": "t", "ı": "i", "þ": "th", "æ": "ae", "œ": "oe"}
)
_AS_TWO = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})

_LOOKS_LATIN = str.maketrans(  # of Unicode's confusables.txt the Cyrillic and Greek letters that names are written with
    "АВЕЅІЈКМНОРСТУХаеорсухіјѕһԁԛԝӏΑΒΕΖΗΙΚΜΝΟΡΤΥΧανορɑɡ",
    "ABESIJKMHOPCTYXaeopcyxijshdqwlABEZHIKMNOPTYXavopag",
)
_DIGIT_FOR_LETTER = re.compile(r"(?<=[^\W\d_])(?:0|[1I])(?=[a-z])")  # Br0wn, A1an, AIan

_WORDS = re.compile(r"\d+|[^\x00-/:-@\[-`{-\x7f\d\s]+")
_ACCENTS = re.compile("[\u0300-\u036f]")


def _by_word(*groups: str) -> dict[str, str]:
    return {word: words for words in groups for word in words.split()}


_TITLES = _by_word(
    *("mr", "mrs", "ms miss", "grandma", "grandpa", "grandmother", "grandfather", "stepmother", "stepfather"),
    *("godmother", "godfather", "grossmutter", "grossvater", "schwiegermutter", "schwiegervater"),
)
_AFTER_NAMES = _by_word(
    *("ii", "iii", "iv", "vi", "vii", "viii", "ix", "xi", "xii", "jr jun junior", "sr sen senior"),
)
"""Words that tell two people apart although one slip of typing makes one of the other."""


class _Spelling(NamedTuple):
    forms: frozenset[str]
    """Its letters and digits alone, in each way in which they may be written."""
    in_order: frozenset[str]
    """The same by words in the order of the alphabet, where that is another."""
    numbers: list[str]
    telling: set[str]
    initials: list[str]
    label: bool
    """Whether the last of its words is a single letter."""


def alike(one: str, other: str) -> bool:
    """Whether two names, which are not the same, may be one person's by a mistake of writing.

    They may if they differ in letter case, accents, spaces, hyphens, apostrophes and dots, in the order of their words,
    in letters that look like others, in a plural, or by a slip of typing: a letter too many, too few, another, or two
    in each other's place. What tells people of one name apart is no mistake: numbers, initials, Jr and Sr, Mr and Mrs.
    """
    return _slips(one, other) is not None


def alike_names(name: str, others: Iterable[str]) -> list[str]:
    """Those of `others` that are `alike` to `name`, the nearest first. 100,000 names take some seconds."""
    found = ((slips, other) for other in others if (slips := _slips(name, other)) is not None)
    return [other for _, other in sorted(found)]


def meant(name: str, known: Iterable[str], most: int = 3) -> str:
    """ "Did you mean Ada Lovelace? ", for a name that is none of those `known`; "" where none comes near."""
    by_form = {folded(one): one for one in known}
    words = set(folded(name).split())
    parts = [one for form, one in by_form.items() if words and words <= set(form.split())]  # of Ada Lovelace, Ada
    close = [by_form[form] for form in difflib.get_close_matches(folded(name), by_form, most, 0.7)]
    found = list(dict.fromkeys([*alike_names(name, by_form.values()), *close, *parts]))[:most]
    return f"Did you mean {listed(found, 'or')}? " if found else ""


def alike_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Each two of `names` that are `alike`, the nearest first. Only names that share a part of a spelling are compared:
    see `_parts`."""
    forms: dict[int, list[tuple[str, str]]] = defaultdict(list)
    for name in sorted(set(names)):
        spelling = _spelling(name)
        for form in spelling.forms | spelling.in_order:
            forms[len(form)].append((form, name))
    pairs: dict[tuple[str, str], int] = {}
    for shorter, longer in ((length, length + more) for length in forms for more in range(3)):
        sharing: dict[str, list[str]] = defaultdict(list)
        for form, name in forms[shorter] if longer in forms else ():
            for part in _parts(form, shorter, longer):
                sharing[part].append(name)
        for form, name in forms[longer] if sharing else ():
            for other in {other for part in _parts(form, shorter, longer) for other in sharing.get(part, ())} - {name}:
                pair = (min(name, other), max(name, other))
                if pair not in pairs and (slips := _slips(*pair)) is not None:
                    pairs[pair] = slips
    return sorted(pairs, key=lambda pair: (pairs[pair], pair))


def _slips(one: str, other: str) -> int | None:
    """By how many slips of typing two names differ that may be one, or None if they are one or may not be. Another
    order of the words counts as a slip."""
    first, second = _spelling(one), _spelling(other)
    found = [slips for a in first.forms for b in second.forms if (slips := _edits(a, b)) is not None]
    if not found and (first.in_order or second.in_order):
        ordered = [(a, b) for a in first.in_order or first.forms for b in second.in_order or second.forms]
        found = [slips + 1 for a, b in ordered if (slips := _edits(a, b, swapped=True)) is not None]
    if not found or _told_apart(first, second) or nfc(one) == nfc(other):
        return None
    return min(found)


def _told_apart(one: _Spelling, other: _Spelling) -> bool:
    if one.numbers != other.numbers or one.telling != other.telling:
        return True
    if one.initials and other.initials:
        return one.initials != other.initials
    return one.label or other.label  # Family, Family A


@lru_cache(maxsize=200_000)
def _spelling(name: str) -> _Spelling:
    name = _DIGIT_FOR_LETTER.sub(lambda match: "o" if match[0] == "0" else "l", nfc(name))
    plain = _words(name)
    ways = [plain]
    if not name.isascii():
        ways += [_words(name.lower().translate(_AS_TWO))]
        ways += [_words(unicodedata.normalize("NFKC", name).translate(_LOOKS_LATIN))]
    forms = frozenset("".join(words) for words in ways if words) or frozenset({folded(name)})
    single = [word for word in plain if len(word) == 1 and word.lower() != word.upper()]
    return _Spelling(
        forms=forms,
        in_order=frozenset("".join(sorted(words)) for words in ways if words) - forms,
        numbers=sorted(word.lstrip("0") for word in plain if word.isdecimal()),
        telling={_TITLES.get(word, "") for word in plain} | {_AFTER_NAMES.get(word, "") for word in plain[1:]},
        initials=sorted(single),
        label=len(plain) > 1 and plain[-1] in single,
    )


def _words(name: str) -> list[str]:
    """The words and numbers of a name, without letter case and accents."""
    name = name.casefold()
    if not name.isascii():
        name = _ACCENTS.sub("", unicodedata.normalize("NFKD", name)).translate(_LETTERS)
        name = unicodedata.normalize("NFKC", name)
        name = "".join(c if unicodedata.category(c)[0] in "LMN" else " " for c in name)
    return _WORDS.findall(name)


def _allowed(length: int) -> int:
    return next(slips for letters, slips in _SLIPS if length >= letters)


def _edits(one: str, other: str, swapped: bool = False) -> int | None:
    """The distance of two spellings in letters added, left out, replaced, or swapped with their neighbour (optimal
    string alignment), or None where it is more than is allowed for their length; a plural counts as one. One less is
    allowed if the words were `swapped`.
    """
    if one == other:
        return 0
    shorter, longer = (one, other) if len(one) <= len(other) else (other, one)
    if len(longer) - len(shorter) > 2 or len(longer) > LONGEST_NAME:
        return None
    if not swapped and shorter in _singulars(longer):
        return 1
    most = _allowed(len(longer)) - swapped
    if most < 1:
        return None
    if len(longer) - len(shorter) > most:
        return None
    before: list[int] = []
    last = list(range(len(longer) + 1))
    for i, letter in enumerate(shorter, 1):
        row = [i] + [most + 1] * len(longer)
        for j in range(max(1, i - most), min(len(longer), i + most) + 1):
            row[j] = min(last[j] + 1, row[j - 1] + 1, last[j - 1] + (letter != longer[j - 1]))
            if i > 1 and j > 1 and letter == longer[j - 2] and shorter[i - 2] == longer[j - 1]:
                row[j] = min(row[j], before[j - 2] + 1)
        if min(row) > most:
            return None
        before, last = last, row
    return last[-1] if last[-1] <= most else None


def _singulars(form: str) -> set[str]:
    if not form.endswith("s"):
        return set()
    found = {form[:-1], form.removesuffix("es"), form[:-3] + "y" if form.endswith("ies") else form}
    return {singular for singular in found - {form} if len(singular) > 2}


def _parts(form: str, shorter: int, longer: int) -> Iterator[str]:
    """What a spelling shares with each other that it is within the allowed slips of, where one of the two has `shorter`
    letters and one `longer`: two spellings one slip apart are equal once the right letter is taken from each, and of
    two slips at most one falls into the first half of the shorter, or at most one into its last.
    """
    yield form
    yield from _singulars(form)
    match _allowed(longer):
        case 1:
            yield from _without_a_letter(form)
        case 2:
            half = shorter // 2
            yield from ("<" + part for part in _without_a_letter(form[:half]))
            yield from (">" + part for part in _without_a_letter(form[-half:]))


def _without_a_letter(form: str) -> set[str]:
    return {form, *(form[:i] + form[i + 1 :] for i in range(len(form)))}
