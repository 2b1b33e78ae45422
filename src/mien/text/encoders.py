"""What is said of encoders."""

from __future__ import annotations

from mien.text.kinds import Kind


class Advice(Kind):
    """What another encoder would bring an album that uses the one which comes with mien. By docs/benchmarks.md."""

    ADD = (
        "add",
        "{better} gives more faces their right name, in little more than half the time",
        "Add it: {how}",
    )
    TRAIN = (
        "train",
        "{better} gives more faces their right name, in little more than half the time",
        "Use it: {how}",
    )


class CosinesKind(Kind):
    """On what the figures of an encoder's cosines rest, from which thresholds and margins come."""

    OWN = (
        "own",
        "nobody measured them on many people, so they come from this album's {people:person|people} and {faces:photo}:"
        " where 1 % of strangers is asked for, {low:%} to {high:%} may get a name",
        "More people make that narrower.",
    )


class EncoderKind(Kind):
    """How an encoder compares with the one in use, by the album's own photos: of `of` pictures `won` are named rightly
    with the new one only and `lost` with the old one only; `p` is the chance of so uneven a count if both were equal.
    """

    BETTER = (
        "better",
        "{name} is better than {current} here: it names {won:photo} rightly that {current} does not, and misses"
        " {lost} that {current} names ({p:p}, {of:photo} compared).",
    )
    WORSE = (
        "worse",
        "Stay with {current}: {name} misses {lost:photo} that {current} names rightly, and names {won} that {current}"
        " does not ({p:p}, {of:photo} compared).",
    )
    FASTER = (
        "faster",
        "{name} and {current} are equally good on these photos, as far as {of:photo} can tell ({won} won, {lost} lost,"
        " {p:p}); {name} takes {part:%} of the time.",
    )
    EVEN = (
        "even",
        "Nothing here speaks for a change: {name} and {current} are equally good on these photos, as far as {of:photo}"
        " can tell ({won} won, {lost} lost, {p:p}), and {name} is no faster.",
    )
    TOO_FEW = (
        "too few",
        "{of:photo} of {people:person|people} are too few to compare encoders by.",
        "Add photos, at least five of each of ten people.",
    )


class QuantisedKind(Kind):
    """What became of an encoder that was made anew in 8-bit numbers."""

    KEPT = (
        "kept",
        "Kept: the album's figures did not fall beyond chance ({lost:photo} lost, {won} won of {of:,}, {p:p}), and a"
        " face takes {part:%} of the time.",
    )
    FELL = (
        "fell",
        "Not kept: with 8-bit numbers {lost:photo} of {of:,} are lost and {won} won ({p:p}), more than chance.",
    )
    NO_FASTER = (
        "no faster",
        "Not kept: on this processor a face takes {part:%} of the time, so that 8-bit numbers bring nothing.",
    )
