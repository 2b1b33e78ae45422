"""A model's card, card.json: what the model is, what it was made of, and size and hash of its other files.

Everything that differs between two runs on the same album stands under "run"; all else is the same bytes. The seal is
the hash of the rest of the card. It finds damage, not forgery: whoever can write the file can seal it anew.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from mien.errors import DamagedModelError
from mien.types import Cosines, EncoderChoice

if TYPE_CHECKING:
    from mien.learning.figures import Share

VERSION: Final = r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{3,6}"
"""A version's name as a pattern: a day, and the number of the model on that day."""

ENROLLED_SINCE_FIT: Final = "enrolled_since_fit"
"""Among a card's counts, where there are any: photos that came or went since head, threshold, calibration and metrics
were fitted; see `mien.stages.enrol`."""

REMEDY: Final = "Make a new model with `mien train`."
CHANGED: Final = "is not what it was when the model was written"
"""What is wrong with a file that has another hash than its model's card says, or a card another one than its seal."""

_Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
_Count = Annotated[int, Field(ge=0, lt=1 << 53)]  # as large as a whole number can be for every reader of JSON
_Name = Annotated[str, Field(min_length=1)]


class Part(BaseModel):
    """A part of a model's JSON files. It is read strictly: "3" for 3, NaN, and a key that mien does not know are
    refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class EncoderCard(Part):
    """Which encoder made the embeddings, the hash of its weights, and the settings that choose it again, and the faces
    that it is given. Cards written when there was one encoder only do not name it."""

    id: _Name
    name: _Name = "dlib-resnet"
    precision: Literal["fp32", "int8"]
    weights_sha256: _Sha256
    views: Literal[1, 2, 4]
    smallest_face: _Count = 0
    doubtful_faces: bool = False

    @property
    def choice(self) -> EncoderChoice:
        """The settings that choose this encoder again."""
        return EncoderChoice(
            self.name,
            self.precision,
            self.views,
            smallest_face=self.smallest_face,
            doubtful_faces=self.doubtful_faces,
        )


class HeadCard(Part):
    """The head that was chosen, and what each head tried costs a face, in nats (see `crossval.log_loss`): none in a
    model that was made by enrolling alone, in which nothing was measured."""

    name: _Name
    tried: dict[str, float]


class FalseAlarms(Part):
    """How many faces would get one person's name that are, or may be, somebody else's: of masked faces, and of
    bystanders; see `mien.learning.false_alarms`."""

    masked: _Count
    bystanders: _Count


class FileCard(Part):
    """A file of the model: its size and its SHA-256."""

    bytes: _Count
    sha256: _Sha256


class RunCard(Part):
    """What no two runs share; `created` is ISO 8601, `seal` the SHA-256 of the card with an empty seal."""

    version: Annotated[str, Field(pattern=f"^{VERSION}$")]
    created: _Name
    seal: _Sha256 | Literal[""]


_File = TypeVar("_File", bound=str)


def _all_there(files: dict[_File, FileCard]) -> dict[_File, FileCard]:
    if missing := {"model.onnx", "labels.txt", "thresholds.json"} - files.keys():
        raise ValueError(f"without {sorted(missing)[0]}")
    return files


class Card(Part):
    """card.json. `photos` are the SHA-256 of the photos known, by person, and `left_out` of those among them that did
    not count, as they lie under a wrong name or contradict their person's others; `counts` and `metrics` what training
    counted and measured; `cosines` what the album showed of an encoder of which nobody had measured them;
    `false_alarms` has everybody whose name a stranger would get; `packages` the versions of the libraries that it ran
    with."""

    format: Literal[1] = 1
    encoder: EncoderCard
    head: HeadCard
    people: Annotated[int, Field(ge=1)]
    photos: dict[str, list[_Sha256]]
    left_out: dict[str, list[_Sha256]] = {}
    counts: dict[str, _Count]
    metrics: dict[str, float]
    cosines: Cosines | None = None
    false_alarms: dict[_Name, FalseAlarms] = {}
    packages: dict[str, str]
    files: Annotated[
        dict[Literal["model.onnx", "labels.txt", "thresholds.json", "search.npy"], FileCard], AfterValidator(_all_there)
    ]
    run: RunCard

    def share(self, name: str) -> Share:
        """A share that training measured ("top1") with the interval that it stated, of nothing if it did not."""
        from mien.learning.figures import Share  # `classify` needs a card, and no figures

        low, high = (self.metrics.get(f"{name}_{end}") for end in ("low", "high"))
        stated = None if low is None or high is None else (low, high)
        return Share(self.counts.get(f"{name}_hits", 0), self.counts.get(f"{name}_of", 0), stated)


def worst_first(false_alarms: Mapping[str, FalseAlarms]) -> tuple[tuple[str, FalseAlarms], ...]:
    """Everybody with their false alarms: who has the most masked faces first, then the most bystanders."""
    ranked = sorted(false_alarms.items(), key=lambda one: (-one[1].masked, -one[1].bystanders, one[0]))
    return tuple(ranked)


def json_bytes(part: Part) -> bytes:
    """`part` as a file holds it: UTF-8, keys sorted, so that equal parts are equal bytes. Raises ValueError for a
    number that JSON has not (NaN, infinity)."""
    text = json.dumps(part.model_dump(), ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True)
    return f"{text}\n".encode()


_Parsed = TypeVar("_Parsed", bound=Part)


def parse(kind: type[_Parsed], file: Path, data: bytes) -> _Parsed:
    """The part that `file` holds as `data`. Raises DamagedModelError."""
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise damaged(file, f"does not hold what it should: {where}{': ' if where else ''}{first['msg']}") from error


def sealed(card: Card) -> Card:
    """`card` with its seal."""
    bare = _with_seal(card, "")
    return _with_seal(card, hashlib.sha256(json_bytes(bare)).hexdigest())


def parse_card(file: Path, data: bytes) -> Card:
    """The card that `file` holds as `data`, its seal checked. Raises DamagedModelError."""
    card = parse(Card, file, data)
    bare = data.replace(f'"seal": "{card.run.seal}"'.encode(), b'"seal": ""', 1)  # as it was when it was hashed
    if hashlib.sha256(bare).hexdigest() != card.run.seal:
        raise damaged(file, CHANGED)
    return card


def same_but_for_run(card: Card, other: Card) -> bool:
    """Whether two models are the same, and only made at different times."""
    return other.model_copy(update={"run": card.run}) == card


def damaged(file: Path, what: str) -> DamagedModelError:
    """The error that says `what` is wrong with `file` of a model; `what` is a predicate, as in `MienError`."""
    return DamagedModelError(str(file), what, REMEDY)


def _with_seal(card: Card, seal: str) -> Card:
    return card.model_copy(update={"run": card.run.model_copy(update={"seal": seal})})
