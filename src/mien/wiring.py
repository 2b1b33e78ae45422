"""Names to objects: the one place that knows every concrete tool."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, cast

from mien.detectors.mmod import MMOD
from mien.detectors.yunet import YuNet
from mien.encoders.resnet import ResNet
from mien.eyes import Eyes, Views
from mien.heads.prototypes import fit_prototypes
from mien.landmarkers.trees import FivePointTrees
from mien.registry import EncoderCard, Model

if TYPE_CHECKING:
    from mien.settings import Settings


def make_eyes(precision: Literal["fp32", "int8"], views: int) -> Eyes:
    """The tools by which photos are seen. They open their sessions when first used, so this is cheap."""
    trees = FivePointTrees()
    return Eyes(YuNet(), MMOD(trees), trees, ResNet(precision, batch=views), cast("Views", views))


fit_head = fit_prototypes
"""The head that `train` fits."""


def encoder_card(settings: Settings) -> EncoderCard:
    """The encoder that the settings ask for, as a model's card names it."""
    eyes = make_eyes(settings.precision, settings.views)
    return EncoderCard(
        id=eyes.encoder_id,
        precision=settings.precision,
        weights_sha256=ResNet(settings.precision).weights_sha256,
        views=settings.views,
    )


def eyes_of(model: Model) -> Eyes:
    """The eyes that a model was trained with. Raises EncoderMismatchError if this version of mien sees otherwise."""
    eyes = make_eyes(model.card.encoder.precision, model.card.encoder.views)
    model.require_encoder(eyes.encoder_id)
    return eyes
