"""Names to objects: the one place that knows every concrete tool."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal, cast
from urllib.parse import urlsplit

from mien.errors import ModelError, SourceError
from mien.learning.heads.nearest import with_nearest
from mien.learning.heads.normalised import FEWEST, normalised
from mien.learning.heads.prototypes import fit_prototypes
from mien.learning.heads.several import with_several
from mien.learning.heads.softmax import MOST_WORK, softened
from mien.learning.openset import Scale
from mien.registry import EncoderCard, Model
from mien.seeing.detectors.mmod import MMOD
from mien.seeing.detectors.yunet import YuNet
from mien.seeing.encoders.resnet import ResNet
from mien.seeing.eyes import Eyes, Views
from mien.seeing.landmarkers.trees import FivePointTrees
from mien.stages.train import HeadOption

if TYPE_CHECKING:
    from mien.learning.head import Fit
    from mien.protocols import Source
    from mien.settings import Settings, SourceSettings


def make_eyes(precision: Literal["fp32", "int8"], views: int) -> Eyes:
    """The tools by which photos are seen. They open their sessions when first used, so this is cheap."""
    trees = FivePointTrees()
    return Eyes(YuNet(), MMOD(trees), trees, ResNet(precision, batch=views), cast("Views", views))


HEADS = (
    HeadOption("prototypes", fit_prototypes, 0.0),
    HeadOption("several", with_several(fit_prototypes), -0.001),
    HeadOption("nearest", with_nearest(fit_prototypes), -0.0035),
    HeadOption("normalised", normalised(fit_prototypes), -0.004, Scale(0.347, 0.651), FEWEST),
    HeadOption("normalised-nearest", normalised(with_nearest(fit_prototypes)), -0.0145, Scale(0.347, 0.649), FEWEST),
    HeadOption("softmax", softened(fit_prototypes), 0.0, Scale(-0.121, 1.118), most_work=MOST_WORK, only_if_named=True),
)
"""The heads that `train` chooses from, the simpler first, with what each brought on the training photos of LFW and
`wild`, and the scale of its scores in galleries of 10 to 60 LFW people (docs/benchmarks.md). Softmax must be asked
for: it pushes the people of the album apart, so masking them cannot show how it treats real strangers, and those it
names more often."""


_ENROLMENTS = {
    "prototypes": fit_prototypes,
    "several": with_several(fit_prototypes),
    "nearest": with_nearest(fit_prototypes),
    "normalised": fit_prototypes,
    "normalised-nearest": with_nearest(fit_prototypes),
    "softmax": fit_prototypes,
}
"""For each head what it makes of one person alone, whose embeddings its transform was applied to. Softmax takes the
mean that it starts from."""


def enrolment(model: Model) -> Fit:
    """How one person is enrolled in a model without training; see `mien.stages.enrol`. Raises ModelError."""
    name = model.card.head.name
    if name not in _ENROLMENTS:
        raise ModelError(
            f"The model {model.version} has a head that this version of mien does not know: {name}.",
            "Make a new model with `mien train`.",
        )
    return _ENROLMENTS[name]


def encoder_card(settings: Settings) -> EncoderCard:
    """The encoder that the settings ask for, as a model's card names it."""
    eyes = make_eyes(settings.precision, settings.views)
    return EncoderCard(
        id=eyes.encoder_id,
        precision=settings.precision,
        weights_sha256=ResNet(settings.precision).weights_sha256,
        views=cast("Views", settings.views),
    )


def eyes_of(model: Model) -> Eyes:
    """The eyes that a model was trained with. Raises EncoderMismatchError if this version of mien sees otherwise."""
    eyes = make_eyes(model.card.encoder.precision, model.card.encoder.views)
    model.require_encoder(eyes.encoder_id)
    return eyes


SOURCES = "mien.sources"
"""The entry points by which sources are found, mien's own and other people's alike."""


def source_openers(
    sources: Mapping[str, SourceSettings], contact: str, album: Path, until: ExitStack
) -> dict[str, Callable[[], Source]]:
    """For each name what opens the source, which raises SourceError where it is set up wrongly. The connections of the
    opened ones are closed with `until`; relative paths are relative to `album`."""
    return {name: partial(_open_source, name, options, contact, album, until) for name, options in sources.items()}


def _open_source(name: str, options: SourceSettings, contact: str, album: Path, until: ExitStack) -> Source:
    from importlib.metadata import entry_points

    from mien.web.client import Client

    kinds = {entry.name: entry for entry in entry_points(group=SOURCES)}
    if options.kind not in kinds:
        raise SourceError(
            f"The source {name} is of a kind that is not known: {options.kind}.",
            f"Set kind to {', '.join(sorted(kinds))}, or install the package that brings it.",
        )
    own = dict(options.model_extra or {})
    web = Client(
        {*options.hosts, *_hosts(own)},
        allow_private=options.allow_private,
        per_host=options.per_host,
        delay=options.delay,
        largest=options.max_megabytes << 20,
        contact=contact,
    )
    until.enter_context(web)
    return cast("Source", kinds[options.kind].load()(name, own, web, album))


def _hosts(options: Mapping[str, object]) -> set[str]:
    """The hosts of the addresses among the options of a source: those it may reach without more ado."""
    found = set()
    for value in options.values():
        if isinstance(value, str) and value.lower().startswith(("http://", "https://")):
            try:
                found.add(urlsplit(value).hostname or "")
            except ValueError:  # no address after all, which the source itself will say
                continue
    return found - {""}
