"""What is said of models: how a challenger compares with the champion, where a threshold comes from, why a head cannot
be had."""

from __future__ import annotations

from collections.abc import Mapping

from mien.text.kinds import Kind
from mien.text.words import count, percent, share


class GateKind(Kind):
    """What the gate says of a challenger: what got worse, and needs a human's look, or that nothing did.

    Of all pictures that known people, or strangers, were asked about, `share` and `share_before` are the parts that
    challenger and champion named; `after` and `before` count pictures answered well, `of` all of them; `p` is the
    chance that the challenger is not worse.
    """

    FEWER_NAMED = (
        "fewer named",
        "Fewer pictures of known people get the right name: {share} of {of:,} instead of {share_before}, beyond chance"
        " ({p:p}).",
        "Look at what came in since.",
        True,
    )
    MORE_STRANGERS_NAMED = (
        "more strangers named",
        "More strangers get a name: {share} instead of {share_before}, beyond chance ({p:p}).",
        "Look at what came in since.",
        True,
    )
    PERSON_WORSE = (
        "person worse",
        "{person} is recognised worse: on {after} of {of:picture} instead of {before}, beyond chance ({p:p}).",
        "Look at what came in under this name.",
        True,
    )
    PERSON_WORSE_ON_EARLIER = (
        "person worse on earlier pictures",
        "{person} is recognised worse: on {after} of {of:picture} that were there before instead of {before}, beyond"
        " chance ({p:p}).",
        "Look at what came in under this name.",
        True,
    )
    NOT_WORSE = (
        "not worse",
        "Not worse beyond chance: {share} of {of:picture} of known people get the right name ({share_before} before),"
        " {strangers} of the strangers get a name ({strangers_before} before), and no single person is recognised"
        " worse.",
    )
    NOT_WORSE_WITHOUT_STRANGERS = (
        "not worse, no strangers",
        "Not worse beyond chance: {share} of {of:picture} of known people get the right name ({share_before} before),"
        " and no single person is recognised worse.",
    )
    TOO_FEW_PICTURES = (
        "too few pictures",
        "There are too few pictures by which the two models could be compared.",
    )
    LOST_ON_TOO_FEW = (
        "person lost on too few pictures",
        "{person} is recognised on {after} of {of:picture} instead of {before}; that is too few pictures to judge by.",
    )
    TAKEN_FOR_NEWCOMER = (
        "taken for a newcomer",
        "{person} is taken for {other}, who is new, on {photos:photo}.",
        "Are they one person? Then join the two folders.",
        True,
    )

    def say(self, figures: Mapping[str, object]) -> str:
        """Its words, in which a share has no more places than its count can show."""
        of = {"share": "of", "share_before": "of", "strangers": "strangers_of", "strangers_before": "strangers_of"}
        said = {name: _share(figures[name], figures.get(count)) for name, count in of.items() if name in figures}
        return super().say({**figures, **said})


def _share(value: object, of: object) -> str:
    """A share as words; of how many, no run of an earlier version says."""
    number = float(str(value))
    return percent(number) if of is None else share(number, int(str(of)))


class GoneKind(Kind):
    """What a challenger does not know any more, though nobody removed it."""

    PERSON = (
        "person gone",
        "{person} is not known any more: {gone:photo} of {photos:,} gone from the album, and nobody removed {person}.",
        "Put the photos back; or take the person out by `mien remove`.",
        True,
    )
    PERSON_UNSEEN = (
        "person unseen",
        "{person} is not known any more: the photos are in the album, and with the present settings no face is found in"
        " {gone:,} of {photos:,}.",
        "Set them as they were, or put other photos of {person} into the album.",
        True,
    )
    PHOTOS_UNSEEN = (
        "photos unseen",
        "{person} is learned from {left:photo} instead of {photos:,}: in the others no face is found with the present"
        " settings.",
        "Nothing needs doing if {person} is still recognised; otherwise set them as they were.",
    )
    PHOTOS = (
        "photos gone",
        "{person} is learned from {left:photo} instead of {photos:,}, and nobody removed the others.",
        "Put the photos back if that was not meant.",
        True,
    )


class UseKind(Kind):
    """What is said of a version that knows people who were removed."""

    WITHOUT = ("without", "{asked} knows {names:and}, removed since: {version} is the same without, and is in use")
    ANSWERS_WITHOUT = ("answers without", "{version} knows {names:and}, removed since, and answers without")


class IncomparableKind(Kind):
    """Why two models cannot be asked the same."""

    UNKNOWN_HEAD = ("unknown head", "{version} has a head that this version of mien cannot fit: {head}.")
    NO_FACES = ("no faces", "The album has no face any more that {version} could be asked about.")
    NOT_AS_IT_WAS = (
        "not as it was",
        "{version}, which is in use, had {share:%} of its photos right first when it was trained, and has {share_now:%}"
        " of {of:photo} now: what is asked is not what it was, and says nothing of either model.",
    )
    OTHER_ENCODER = (
        "other encoder",
        "{before} sees with the encoder {encoder_before} and {after} with {encoder}, and the album has faces of both in"
        " only {common:,} of the {photos:photo} that {before} was made of: too few to ask both models the same.",
    )


class ThresholdKind(Kind):
    """Where the threshold of a model comes from: `own` is the part of it that the album itself says, `beforehand` that
    of measurements which the encoder brings along."""

    BEFOREHAND = (
        "beforehand",
        "Chosen to name about {fpir:g%} of strangers, from strangers measured beforehand: nobody here can play the"
        " stranger.",
    )
    BOTH = (
        "both",
        "Chosen to name about {fpir:g%} of strangers: {own:g%} from this album's {people:person|people}, each taken for"
        " a stranger in turn, and {beforehand:g%} from strangers measured beforehand, because fewer than {enough}"
        " people cannot show enough.",
    )
    OWN = (
        "own",
        "Chosen to name about {fpir:g%} of strangers, from this album's {people:person|people}, each taken for a"
        " stranger in turn.",
    )
    MISLABELLED = (
        "mislabelled",
        "Left out of that: {faces:face} more like somebody else than like the person filed under.",
    )
    SAMPLE = (
        "sample",
        "Measured on {asked:face} of {faces:,}: on those of people drawn by lot, as more would take long and say little"
        " more.",
    )


class SearchKind(Kind):
    """What is said of a model when it is loaded."""

    ALL_COMPARED = (
        "all compared",
        "The model {version} knows {people:person|people} and compares each face with all of them, which takes long",
        "Install what finds them sooner, `pip install 'mien[scale]'`, and train.",
    )


class HeadKind(Kind):
    """Why a head cannot be had for an album."""

    TOO_FEW_PEOPLE = ("too few people", "needs {fewest:,} people")
    TOO_FEW_PHOTOS = ("too few photos", "needs {fewest:,} photos more than people")


def did_not_count(photos: int) -> str:
    """What is said of photos from which a model learned nothing, after their names."""
    return f"{count(photos, 'photo')} did not count, being unlike the others of their person"
