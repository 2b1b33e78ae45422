"""Names to objects: the one place that knows every concrete tool."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, cast
from urllib.parse import urlsplit

from mien.encoders.shelf import kept
from mien.engines.threads import Threads
from mien.errors import SourceError, UsageError
from mien.learning.head import HeadOption
from mien.learning.heads.normalised import FEWEST_PEOPLE, FEWEST_SPARE, normalised
from mien.learning.heads.prototypes import fit_prototypes, prototypes
from mien.open_album import EyesFor, Tools
from mien.seeing.detectors.mmod import MMOD
from mien.seeing.detectors.yunet import YuNet
from mien.seeing.encoders.network import NetworkEncoder
from mien.seeing.eyes import Eyes, Views
from mien.seeing.landmarkers.trees import FivePointTrees
from mien.seeing.second_look import LOW
from mien.storage.files import is_there
from mien.storage.tracebacks import guarded
from mien.text.fetching import SourceFault
from mien.text.names import quoted_name
from mien.text.words import listed

if TYPE_CHECKING:
    from mien.encoders.shelf import Kept
    from mien.learning.head import Fit
    from mien.pipeline.import_from import Origin
    from mien.protocols import Engine, Source
    from mien.settings import Settings
    from mien.storage.layout import Layout
    from mien.types import Cosines, EncoderChoice


def make_eyes(choice: EncoderChoice) -> Eyes:
    """The tools by which photos are seen. They open their sessions when first used, so this is cheap. Raises
    EncoderError where the encoder is not on this machine, or its licence does not allow what it is wanted for."""
    return eyes_with(kept(choice.name), choice)


def eyes_with(encoder: Kept, choice: EncoderChoice) -> Eyes:
    """The same with an encoder at hand, whatever the choice calls it."""
    encoder.description.require_licence(choice.commercial)
    views: Views = cast("Views", choice.views) or encoder.description.views
    trees = FivePointTrees()
    network = NetworkEncoder(encoder, choice.precision, batch=views, provider=choice.provider)
    return Eyes(
        YuNet(LOW),
        trees,
        network,
        views,
        smallest_face=choice.smallest_face,
        doubtful_faces=choice.doubtful_faces,
        formerly=((f"{YuNet().id}|{MMOD(trees).id}", trees.id, "1"), (YuNet(LOW).id, trees.id, "2")),
    )


def _normalised(cosines: Cosines) -> Fit:
    # Normalised scores of strangers lie nearer to those of the person, and so does the bound between them.
    return normalised(partial(fit_prototypes, contradicted=cosines.contradicted))


HEADS = (
    HeadOption("prototypes", prototypes, formerly=("several", "nearest", "softmax")),
    HeadOption("normalised", _normalised, FEWEST_PEOPLE, FEWEST_SPARE, formerly=("normalised-nearest",)),
)
"""The heads that `train` chooses from (docs/benchmarks.md): the first scores plain cosines, and each later one is taken
wherever it can be had and does no harm (`mien.stages.train.choose_head`)."""


def tools(eyes: EyesFor = make_eyes) -> Tools:
    """Everything that verbs are handed; `eyes` for whoever sees by other means."""
    return Tools(eyes, HEADS, open_sources, open_engine)


def open_engine(settings: Settings) -> Engine:
    """What looks at many photos, which starts what it needs when the first comes."""
    if settings.engine == "dask":
        from mien.engines.dask import Dask

        return Dask(settings.scheduler, settings.workers, settings.resources)
    return Threads(settings.workers)


SOURCES = "mien.sources"
"""The entry points by which sources are found, mien's own and other people's alike."""


def open_sources(
    layout: Layout, settings: Settings, names: Sequence[str], until: ExitStack
) -> dict[str, Callable[[], Source]]:
    """For each name what opens the source, which raises SourceError where it is set up wrongly. The connections of the
    opened ones are closed with `until`, and ask for nothing more when the time of the source, or of all, is over;
    relative paths are relative to the album."""
    ends = time.monotonic() + settings.max_hours * 3600
    return {name: partial(_open_source, name, settings, layout, until, ends) for name in names}


def _open_source(name: str, settings: Settings, layout: Layout, until: ExitStack, ends: float) -> Source:
    from importlib.metadata import entry_points

    from mien.web.client import Client

    options = settings.sources[name]
    kinds = {entry.name: entry for entry in entry_points(group=SOURCES)}
    if options.kind not in kinds:
        raise SourceError(
            f"The source {name}",
            f"is of a kind that is not known: {options.kind}",
            f"Set kind to {listed(sorted(kinds), 'or')}, or install the package that brings it.",
            SourceFault.UNKNOWN_KIND,
        )
    own = dict(options.model_extra or {})
    web = Client(
        {*options.hosts, *_hosts(own)},
        allow_private=options.allow_private,
        per_host=options.per_host,
        delay=options.delay,
        largest=options.max_megabytes << 20,
        contact=settings.contact,
        ends=min(ends, time.monotonic() + options.max_minutes * 60),
    )
    until.enter_context(web)
    entry, about = kinds[options.kind], f"The source {name}"
    with guarded(about, entry, layout.tracebacks):  # it may be anybody's, and raise anything
        open_source = entry.load()
    with guarded(about, open_source, layout.tracebacks):
        return cast("Source", open_source(name, own, web, layout.folder))


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


COMPREFACE = "compreface"
"""What the photos of a CompreFace have for a source in the records."""


def open_compreface(
    origin: str, key: str, collection: str, layout: Layout, settings: Settings, until: ExitStack
) -> Origin:
    """A CompreFace from which its subjects are brought: one that is running at the address `origin`, or the dump of its
    database in that file, closed with `until`. Its user has named the address, and it may be in their own network.
    Raises UsageError for a file that is not there, and for an address without a `key`, or with a `collection`."""
    from mien.sources.compreface import API, KEY_HEADER, CompreFace
    from mien.sources.compreface_dump import Dump
    from mien.web.client import Client

    if not origin.lower().startswith(("http://", "https://")):
        if not is_there(Path(origin)):
            raise UsageError(quoted_name(origin), "does not exist", "Check the path, or give http://HOST:PORT.")
        dump = Dump(COMPREFACE, Path(origin), collection, layout.catalog_file.parent)
        until.callback(dump.close)
        return dump
    parts = urlsplit(origin if _hosts({"url": origin}) else "")
    if parts.query or parts.fragment or parts.username is not None or not parts.hostname:
        raise UsageError("The address", "is none of a CompreFace", "Give it as http://HOST:PORT, and nothing more.")
    if collection:
        remedy = "Leave --collection out: the key opens one collection."
        raise UsageError("--collection", "is of a dump alone", remedy)
    if not (key and key.isascii() and key.isprintable() and len(key) <= _LONGEST_KEY):
        about = "The key of CompreFace"
        what = "cannot be sent, as it is no single line of plain letters" if key else "is missing"
        remedy = (
            f"Set the environment variable {KEY_VARIABLE}, or write it into a file for --key-file. It is the key of a"
            " recognition service, as CompreFace shows it in its list of services."
        )
        raise UsageError(about, what, remedy)
    web = Client(
        _hosts({"url": origin}), allow_private=True, contact=settings.contact, key=(KEY_HEADER, key), per_host=4
    )
    until.enter_context(web)
    path = parts.path.rstrip("/").removesuffix(API.rpartition("/")[0])
    return CompreFace(COMPREFACE, f"{parts.scheme}://{parts.netloc}{path}", web)


KEY_VARIABLE = "MIEN_COMPREFACE_KEY"
_LONGEST_KEY = 200
"""Letters; those of CompreFace have 36."""
