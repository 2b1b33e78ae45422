"""What a kind is: a word that programs go by, which owns the words that people read.

Rooms below the surface make values of kinds and figures; the three fields of an error (`mien.errors`) are the only
words that they write, and those are shown and never stored. Kinds stand here, by subject: in `photos` what can be wrong
with a photo, in `fetching` with a source, in `models` what is said of models, in `findings` what is said of an album
and of a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Self

from mien.text.words import fill


class Kind(StrEnum):
    """A member is a word ("two people"), equal to it as a text.

    `words` is what is said of it, a sentence or a part of one, to be filled with figures by `say`; `remedy` what to do
    about it, "" if nothing, and may be filled likewise; `needs_human` says whether mien cannot deal with it by itself.
    """

    words: str
    remedy: str
    needs_human: bool

    def __new__(cls, word: str, words: str, remedy: str = "", needs_human: bool = False) -> Self:
        member = str.__new__(cls, word)
        member._value_ = word
        member.words, member.remedy, member.needs_human = words, remedy, needs_human
        return member

    @classmethod
    def of(cls, word: str) -> Self:
        """The member of this word. Raises ValueError if there is none."""
        return cls(word)  # type: ignore[call-arg]  # of an enum this is a look-up, and takes the word alone

    @property
    def key(self) -> str:
        """What stands for it in a database: the name of its class and its word, which are added to and never
        changed."""
        return f"{type(self).__name__}.{self.value}"

    def say(self, figures: Mapping[str, object]) -> str:
        """Its words, filled. Raises KeyError for a figure that is missing."""
        return fill(self.words, figures)

    def advise(self, figures: Mapping[str, object]) -> str:
        """Its remedy, filled. Raises KeyError for a figure that is missing."""
        return fill(self.remedy, figures)

    def needs(self, figures: Mapping[str, object]) -> bool:
        """Whether it needs a human with these figures; `needs_human`, unless a kind knows cases."""
        return self.needs_human
