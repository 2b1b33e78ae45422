"""From photos to a version: what training and enrolling each do before and after themselves.

Each may be repeated without harm. The album is open for writing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from mien.errors import EmptyAlbumError, ModelError, PhotoError
from mien.open_album import OpenAlbum
from mien.pipeline.use import keep_out, put_into_use
from mien.registry import versions
from mien.registry.folder import Model
from mien.storage.layout import TRAINING
from mien.text.findings import FindingKind

if TYPE_CHECKING:  # a stage that is not run is not imported either
    from mien.intake import Collected
    from mien.seeing.eyes import Eyes
    from mien.stages.align import Aligned
    from mien.stages.enrol import Enrolled
    from mien.stages.train import Trained
    from mien.types import Finding


@dataclass(frozen=True, slots=True)
class Learned:
    """What training did: it aligned first; `trained` is None where `version` had been made of the same photos before.
    `before` was in use until then, None for none. `needs_human` is what in the album nobody but a human can put
    right, `few` who has too few photos, and `gone` what the model in use was made of and the album does not have any
    more, though nobody removed it.
    Where a whole person is gone the version is not `in_use`: the one before stays."""

    aligned: Aligned
    version: str
    trained: Trained | None
    before: str | None
    needs_human: tuple[Finding, ...] = ()
    few: tuple[Finding, ...] = ()
    gone: tuple[Finding, ...] = ()
    in_use: bool = False

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        trained = {"version": self.version, **self.trained.to_json()} if self.trained else None
        return {
            "version": self.version,
            "before": self.before,
            "in_use": self.in_use,
            "trained": trained,
            "needs_human": [finding.to_json() for finding in self.needs_human],
            "few": [finding.to_json() for finding in self.few],
            "gone": [finding.to_json() for finding in self.gone],
            "aligned": self.aligned.to_json(),
        }


def align_training(album: OpenAlbum) -> Aligned:
    """Sees what is new in training-images, chooses each person's faces, writes their chips. Raises EmptyAlbumError, or
    PhotoError where nothing at all can be looked at."""
    from mien.stages.align import align

    aligned = align(album, [TRAINING])
    if not album.catalog.files.people(TRAINING):  # only now, as the memory of photos that are gone had to go too
        if aligned.failures:  # there may be photos, which nobody can look at
            raise aligned.failures[0][1]
        raise EmptyAlbumError(
            str(album.layout.training),
            "holds no photo of a person",
            "Put photos into a folder there for each person, or use `mien add PERSON PHOTO`.",
        )
    return aligned


def learn(album: OpenAlbum, aside: Collection[str] = ()) -> Learned:
    """Aligns, then makes a version of all faces, which is in use only when it is promoted; none where the one in use,
    the newest (a killed run made it) or one of those set `aside` would come out again."""
    from mien.report.build import make_page
    from mien.stages.check import check
    from mien.stages.train import is_up_to_date, train

    aligned = align_training(album)
    found = check(album, [TRAINING]).findings
    needs = tuple(finding for finding in found if finding.needs_human)
    few = tuple(finding for finding in found if finding.kind == FindingKind.FEW)
    current = album.sound_model()
    before = current.version if current else None
    there = versions.names(album.layout.models)
    for version in [*([before] if before else []), *there[-1:], *(one for one in aside if one in there)]:
        with contextlib.suppress(ModelError):  # a damaged one is not what anybody wants again
            model = versions.load(album.layout.models, version)
            if is_up_to_date(album, model) and versions.has_page(album.layout.models, version):
                return Learned(aligned, version, None, before, needs, few)
    trained = train(album)
    told = tuple(finding for finding in found if finding.needs_human or finding.kind == FindingKind.UNREADABLE)
    page = partial(make_page, album, trained, told, current.card if current else None)
    return Learned(aligned, versions.write(album.layout.models, trained.draft, page), trained, before, needs, few)


def put_learned_into_use(album: OpenAlbum, learned: Learned) -> Learned:
    """Puts what was learned into use, whatever it is worth, unless it does not know somebody any more whom nobody
    removed: a drive that is away, or a folder that was moved by mistake, looks like that. A human may promote it."""
    from mien.stages.compare import gone_since

    current = album.sound_model()
    made = versions.load(album.layout.models, learned.version)
    gone = gone_since(album, current, made) if current and current.version != made.version else None
    if gone and gone.people:
        keep_out(album, learned.version)
        return replace(learned, gone=gone.findings)
    put_into_use(album, learned.version, "train")
    return replace(learned, gone=gone.findings if gone else (), in_use=True)


def enrol(
    album: OpenAlbum, model: Model | None, person: str, how: str, eyes: Callable[[], Eyes] | None = None
) -> tuple[Sequence[PhotoError], Enrolled]:
    """Lets the model in use, or the first one where there is none, know of `person` what the catalog does: what could
    not be read of the person's new photos, and the model that is in use then. `how` is the command that asks, for the
    history of versions: "enrol", or "remove" where photos are to be unlearned. `eyes`, if any are given, are being
    opened already."""
    from mien.stages.align import align_person
    from mien.stages.enrol import enrol

    unreadable = align_person(album, person, eyes)
    enrolled = enrol(album, model, person)
    put_into_use(album, enrolled.version, how)
    return unreadable, enrolled


def collect(album: OpenAlbum, names: Sequence[str], dry_run: bool = False) -> Collected:
    """Fetches what is new in the sources of these names into the intake of today."""
    from mien.stages.collect import collect

    with contextlib.ExitStack() as connections:
        sources = album.tools.sources(album.layout, album.settings, names, connections)
        return collect(album, sources, album.today, dry_run)
