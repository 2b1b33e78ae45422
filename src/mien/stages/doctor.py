"""doctor: what of an album's set-up can be reached and is set up, and what to do where it is not.

Each part is looked at by itself, in a thread of its own and for so many seconds at most, so that one that hangs, or is
broken, costs no other its answer. Nothing is changed, but that an object is put into a bucket and removed again.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from importlib.metadata import version as version_of
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien.errors import NEEDS_HUMAN, MienError
from mien.open_album import OpenAlbum, for_reading, open_access, read_settings
from mien.protocols import Silent
from mien.servers import Server
from mien.storage.disks import check_local
from mien.storage.files import entries, is_folder, is_there
from mien.storage.layout import Layout, require_album
from mien.text.doctor import DoctorKind, Part, State
from mien.text.urls import told
from mien.text.words import count

if TYPE_CHECKING:
    from mien.open_album import Clock, Tools
    from mien.settings import Settings
    from mien.text.words import Figure

SECONDS: Final = 10.0
"""Within which each part has to answer: three times what TCP takes to try an address a second and a third time."""
LEAST_FREE: Final = 1 << 30
"""Bytes that a disk should have free: a few hundred photos, and a model of a hundred thousand people."""
CLOCK_SECONDS: Final = 5.0
"""By which clocks may differ: more than a network's delay, and less than what a limit by the minute would notice."""
_MODULES: Final = {
    **dict.fromkeys(("s3", "s3a"), ("s3", "s3fs")),
    **dict.fromkeys(("gs", "gcs"), ("gcsfs", "gcsfs")),
    **dict.fromkeys(("az", "abfs", "abfss"), ("adlfs", "adlfs")),
}
"""For a protocol the extra of mien that it needs, or the package where there is no extra, and a module of it."""


@dataclass(frozen=True, slots=True)
class Check:
    """What is said of a part of the set-up."""

    part: Part
    kind: DoctorKind
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def state(self) -> State:
        """How it is."""
        return self.kind.state

    @property
    def why(self) -> str:
        """It in words."""
        return self.kind.say(self.figures)

    @property
    def remedy(self) -> str:
        """What to do about it, "" if nothing."""
        return self.kind.advise(self.figures)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        told = {"part": str(self.part), "state": str(self.state), "kind": str(self.kind)}
        return told | {"why": self.why, "remedy": self.remedy, "figures": dict(self.figures)}


@dataclass(frozen=True, slots=True)
class Checkup:
    """What is said of all parts, in their order."""

    checks: tuple[Check, ...]

    @property
    def exit_code(self) -> int:
        """0 where there is no problem; what may be better is none."""
        return NEEDS_HUMAN if any(check.state is State.PROBLEM for check in self.checks) else 0

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"checks": [check.to_json() for check in self.checks]}


Look = Callable[[], Iterator[Check]]


def doctor(
    folder: Path,
    tools: Callable[[], Tools],
    clock: Clock,
    overrides: Mapping[str, object] | None = None,
    seconds: float = SECONDS,
) -> Checkup:
    """Looks at the set-up of the album in `folder`, which may be broken, or none. Raises nothing that is the album's
    fault."""
    looks: list[tuple[Part, Look]] = [(Part.MIEN, _mien), (Part.ALBUM, partial(_folder, folder))]
    said = list[Check]()
    try:
        layout, settings = read_settings(folder, overrides or {})
    except MienError as error:
        said.append(_failed(Part.SETTINGS, error))
    else:
        said.append(Check(Part.SETTINGS, DoctorKind.READ, {"file": str(layout.settings_file)}))
        opened = partial(for_reading, layout, settings, tools, clock, Silent())

        def reading(look: Callable[[OpenAlbum], Iterator[Check]]) -> Look:
            def looks() -> Iterator[Check]:
                with opened() as album:
                    yield from look(album)

            return looks

        looks += [
            (Part.EXTRAS, partial(_extras, layout, settings)),
            (Part.ENCODER, reading(_encoder)),
            (Part.PHOTOS, _in_bucket(Part.PHOTOS, settings) or partial(_photos, layout.training)),
            (Part.CATALOG, reading(_catalog)),
            (Part.MODELS, reading(_models)),
            (Part.ENGINE, partial(_engine, settings, seconds)),
            (Part.KEYS, partial(_keys, layout, clock)),
            (Part.RUNS, reading(_runs)),
        ]
        if server := _server_of(settings):
            looks.append((Part.CATALOG, partial(_server, server, seconds)))
        if bucket := _in_bucket(Part.MODELS, settings):
            looks.append((Part.MODELS, bucket))
    said += _all(looks, seconds)
    order = list(Part)
    return Checkup(tuple(sorted(said, key=lambda check: order.index(check.part))))


def _all(looks: list[tuple[Part, Look]], seconds: float) -> list[Check]:
    """What all of them say; those that are not done in time are left behind."""
    found: list[list[Check] | None] = [None] * len(looks)

    def run(number: int, part: Part, look: Look) -> None:
        try:
            found[number] = list(look())
        except MienError as error:
            found[number] = [_failed(part, error)]
        except OSError as error:
            figures = {"error": error.strerror or type(error).__name__}
            found[number] = [Check(part, DoctorKind.UNFORESEEN, figures)]
        except Exception as error:  # of one part, which says nothing of the others
            found[number] = [Check(part, DoctorKind.UNFORESEEN, {"error": type(error).__name__})]

    threads = [
        threading.Thread(target=run, args=(number, part, look), daemon=True)
        for number, (part, look) in enumerate(looks)
    ]
    for thread in threads:
        thread.start()
    latest = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, latest - time.monotonic()))
    said = list[Check]()
    for (part, _), checks in zip(looks, tuple(found), strict=True):
        said += [Check(part, DoctorKind.SLOW, {"seconds": seconds})] if checks is None else checks
    return said


def _failed(part: Part, error: MienError) -> Check:
    return Check(part, DoctorKind.FAILED, {"said": error.message.rstrip("."), "remedy": error.remedy})


# This machine


def _mien() -> Iterator[Check]:
    system = f"{platform.system()} {platform.machine()}"
    figures = {"mien": version_of("mien"), "python": platform.python_version(), "system": system}
    yield Check(Part.MIEN, DoctorKind.VERSIONS, figures)


def _folder(folder: Path) -> Iterator[Check]:
    require_album(folder)
    free = shutil.disk_usage(folder).free
    figures = {"folder": str(folder.absolute()), "free": _bytes(free)}
    yield Check(Part.ALBUM, DoctorKind.FULL if free < LEAST_FREE else DoctorKind.FOLDER, figures)
    memory = folder / ".mien"
    how = {"effective_ids": True} if os.access in os.supports_effective_ids else {}
    closed = [one for one in (folder, memory) if is_there(one) and not os.access(one, os.W_OK | os.X_OK, **how)]
    for one in closed[:1]:
        yield Check(Part.ALBUM, DoctorKind.READ_ONLY, {"folder": str(one)})


def _extras(layout: Layout, settings: Settings) -> Iterator[Check]:
    asked = dict(_asked_for(layout, settings))
    missing = False
    for (extra, module), about in asked.items():
        if importlib.util.find_spec(module) is None:
            missing = True
            package = extra if extra == module else f"mien[{extra}]"
            yield Check(Part.EXTRAS, DoctorKind.NO_EXTRA, {"about": about, "module": module, "package": package})
    if not missing:
        extras = sorted({extra for extra, _ in asked})
        kind = DoctorKind.INSTALLED if extras else DoctorKind.NONE_NEEDED
        yield Check(Part.EXTRAS, kind, {"extras": ", ".join(extras)})


def _asked_for(layout: Layout, settings: Settings) -> Iterator[tuple[tuple[str, str], str]]:
    """The extras, each with a module of it, and the settings that ask for them."""
    if _server_of(settings):
        yield ("scale", "psycopg"), "catalog"
    if settings.engine == "dask":
        yield ("scale", "distributed"), "engine"
    for part in (Part.PHOTOS, Part.MODELS):
        scheme = _url_of(settings, part).partition("://")[0]
        if scheme in _MODULES:
            yield _MODULES[scheme], part.value
    if "server" in settings.model_fields_set or layout.access_file.exists():
        yield ("server", "fastapi"), "server"


def _encoder(album: OpenAlbum) -> Iterator[Check]:
    card = album.encoder_card
    yield Check(Part.ENCODER, DoctorKind.ENCODER, {"name": card.name, "precision": card.precision})


# What the album holds


def _photos(folder: Path) -> Iterator[Check]:
    people = sum(is_folder(one) for one in entries(folder))
    kind = DoctorKind.IN_FOLDER if people else DoctorKind.NO_PHOTOS
    yield Check(Part.PHOTOS, kind, {"folder": str(folder), "people": people})


def _catalog(album: OpenAlbum) -> Iterator[Check]:
    layout = album.layout
    server = _server_of(album.settings)
    if not server:
        check_local(layout.catalog_file)
    if not server and not is_there(layout.catalog_file):
        yield Check(Part.CATALOG, DoctorKind.NO_CATALOG)
        return
    if rows := sum(album.ledger.damaged().values()):
        yield Check(Part.CATALOG, DoctorKind.LEDGER_DAMAGED, {"rows": rows, "file": str(layout.ledger_file)})
    if rows := album.catalog.damage_found:
        yield Check(Part.CATALOG, DoctorKind.CATALOG_DAMAGED, {"rows": rows})
    if not server:
        files = [file for file in (layout.catalog_file, layout.ledger_file, layout.access_file) if is_there(file)]
        sealed = layout.catalog_file.with_suffix(".seal").exists()
        size = _bytes(sum(file.stat().st_size for file in files))
        kind = DoctorKind.FILES if sealed else DoctorKind.FILES_OPEN
        yield Check(Part.CATALOG, kind, {"file": str(layout.catalog_file), "bytes": size})
    if album.ledger.corrections.pending():
        yield Check(Part.RUNS, DoctorKind.PENDING)


def _models(album: OpenAlbum) -> Iterator[Check]:
    model = album.model()
    if model is None:
        yield Check(Part.MODELS, DoctorKind.NO_MODEL)
    else:
        yield Check(Part.MODELS, DoctorKind.IN_USE, {"version": model.version, "people": len(model.people)})


def _keys(layout: Layout, clock: Clock) -> Iterator[Check]:
    from mien.text.access import Scope

    with open_access(layout, Silent(), writes=False) as access:
        keys, now = access.keys.all(), clock()
    good = [key for key in keys if key.refused(now) is None]
    if not keys:
        yield Check(Part.KEYS, DoctorKind.NO_KEYS)
    elif not any(key.scope is Scope.ADMIN for key in good):
        yield Check(Part.KEYS, DoctorKind.NO_ADMIN, {"keys": len(keys)})
    else:
        yield Check(Part.KEYS, DoctorKind.KEYS, {"keys": len(keys), "good": len(good)})


def _runs(album: OpenAlbum) -> Iterator[Check]:
    import psutil  # type: ignore[import-untyped]

    if album.layout.server:  # where a run of another machine holds it, too
        from mien.records.postgres import album_holder

        if holder := album_holder(album.layout.server):
            yield Check(Part.RUNS, DoctorKind.HELD, {"holder": holder})
            return
    try:
        card = json.loads(album.layout.lock_card.read_bytes())
        figures = {"command": str(card["command"]), "since": str(card["since"])}
        lives = card["host"] != socket.gethostname() or psutil.pid_exists(int(card["pid"]))
    except (OSError, ValueError, KeyError, TypeError):
        yield Check(Part.RUNS, DoctorKind.QUIET)
    else:
        yield Check(Part.RUNS, DoctorKind.AT_WORK if lives else DoctorKind.KILLED, figures)


# Elsewhere


def _server_of(settings: Settings) -> str:
    """The URL of the catalog's server; "" where the catalog is files."""
    return settings.catalog.url if isinstance(settings.catalog, Server) else ""


def _url_of(settings: Settings, part: Part) -> str:
    """The URL at which photos or models are; "" where they lie in the album's folder."""
    return settings.photos if part is Part.PHOTOS else settings.models


def _server(url: str, seconds: float) -> Iterator[Check]:
    from mien.records.trying import LEAST, SCHEMAS, try_server

    tried, shown = try_server(url, seconds / 2), told(url)
    if tried.is_old:
        yield Check(Part.CATALOG, DoctorKind.OLD_SERVER, {"url": shown, "version": tried.version, "least": str(LEAST)})
    if tried.is_standby:
        yield Check(Part.CATALOG, DoctorKind.STANDBY, {"url": shown})
    is_whole = len(tried.schemas) == len(SCHEMAS)
    if tried.refused:
        yield Check(Part.CATALOG, DoctorKind.NO_RIGHTS, {"url": shown, "schemas": ", ".join(tried.refused)})
    if not (is_whole or tried.may_create):
        yield Check(Part.CATALOG, DoctorKind.NO_SCHEMAS, {"url": shown})
    if not (tried.is_encrypted or tried.is_local):
        yield Check(Part.CATALOG, DoctorKind.NO_TLS, {"url": shown})
    figures: dict[str, Figure] = {"url": shown, "version": tried.version, "milliseconds": tried.milliseconds}
    yield Check(Part.CATALOG, DoctorKind.SERVER if is_whole else DoctorKind.NEW_SERVER, figures)
    yield _clock(shown, tried.ahead)


def _in_bucket(part: Part, settings: Settings) -> Look | None:
    """The look at the bucket of photos or models; None where they lie in the album's folder."""
    url = _url_of(settings, part)
    return partial(_bucket, part, url) if url else None


def _bucket(part: Part, url: str) -> Iterator[Check]:
    from mien.storage.trying import try_bucket

    shown, tried = told(url), try_bucket(url)
    if tried.reading:
        yield Check(part, DoctorKind.BUCKET_REFUSES, {"url": shown, "error": tried.reading})
        return
    if tried.writing:
        yield Check(part, DoctorKind.BUCKET_READ_ONLY, {"url": shown, "error": tried.writing})
        return
    if tried.deleting:
        yield Check(part, DoctorKind.KEEPS_TRACES, {"url": shown, "error": tried.deleting})
    elif not tried.lists:
        yield Check(part, DoctorKind.LISTS_LATE, {"url": shown})
    else:
        yield Check(part, DoctorKind.BUCKET, {"url": shown, "milliseconds": tried.milliseconds})
    if tried.is_versioned:
        yield Check(part, DoctorKind.VERSIONED, {"url": shown})
    if tried.ahead is not None:
        yield _clock(shown, tried.ahead)


def _engine(settings: Settings, seconds: float) -> Iterator[Check]:
    from mien.engines.threads import threads_for

    address = settings.scheduler
    if settings.engine == "local" or not address:
        yield Check(Part.ENGINE, DoctorKind.LOCAL, {"workers": threads_for(settings.workers)})
        return
    from mien.engines.trying import try_scheduler

    tried, mine = try_scheduler(address, seconds / 2), version_of("mien")
    if not tried.versions:
        yield Check(Part.ENGINE, DoctorKind.NO_WORKERS, {"url": address})
        return
    others = [one or "none" for one in tried.versions if one != mine]
    if others:
        versions = ", ".join(sorted(set(others)))
        different: dict[str, Figure] = {"workers": len(others), "url": address, "mien": mine, "versions": versions}
        yield Check(Part.ENGINE, DoctorKind.OTHER_MIEN, different)
    if lacking := [
        one for one in settings.resources.replace(",", " ").split() if one.partition("=")[0] not in tried.resources
    ]:
        yield Check(Part.ENGINE, DoctorKind.LACKS, {"url": address, "resources": " ".join(lacking)})
    named = "".join(f", {name}={amount:g}" for name, amount in sorted(tried.resources.items()))
    memory, workers = _bytes(tried.memory), len(tried.versions)
    figures: dict[str, Figure] = {
        "url": address,
        "workers": workers,
        "threads": tried.threads,
        "memory": memory,
        "resources": named,
    }
    yield Check(Part.ENGINE, DoctorKind.WORKERS, figures)


def _clock(url: str, ahead: float) -> Check:
    if abs(ahead) <= CLOCK_SECONDS:
        return Check(Part.CLOCK, DoctorKind.SAME_TIME, {"url": url, "seconds": abs(ahead)})
    kind = DoctorKind.AHEAD if ahead > 0 else DoctorKind.BEHIND
    return Check(Part.CLOCK, kind, {"url": url, "seconds": abs(ahead)})


def _bytes(number: int) -> str:
    """A size as people read it."""
    for unit, size in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if number >= size:
            return f"{number / size:.1f} {unit}"
    return count(number, "byte")
