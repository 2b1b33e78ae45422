"""All versions of an album's models: which there are, which is in use, and how they come and go.

Whoever writes (`write`, `promote`, `retire`, `drop`) holds the album's lock.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from mien.errors import DamagedModelError, MienError, ModelError, StorageError
from mien.learning.openset import Threshold
from mien.registry.card import VERSION, Card, damaged, same_but_for_run
from mien.registry.folder import (
    CARD,
    CURRENT,
    LABELS,
    LARGEST,
    LAST,
    NETWORK,
    REPORT,
    SEARCH,
    THRESHOLDS,
    Draft,
    Model,
    load_card,
    load_model,
    load_rule,
    packed,
    parse_labels,
    read_plain,
    unfinished,
    write_folder,
)
from mien.storage import leftovers
from mien.storage.bucket_models import BucketModels, Models
from mien.storage.files import (
    entries,
    is_file,
    is_folder,
    is_there,
    make_folder,
    storage_error,
    write_atomically,
)


def names(models: Models) -> list[str]:
    """All versions in the folder `models`, oldest first. Raises StorageError if it cannot be listed."""
    if isinstance(models, BucketModels):
        return sorted(models.names(VERSION), key=_age)
    found = [entry.name for entry in entries(models) if re.fullmatch(VERSION, entry.name) and is_folder(entry)]
    return sorted(found, key=_age)


def folder(models: Models, version: str, wanted: Collection[str] = (NETWORK, LABELS, THRESHOLDS, SEARCH, CARD)) -> Path:
    """The folder of this machine in which the `wanted` files of a version lie, as far as it has them. Raises
    StorageError where they cannot be had."""
    if isinstance(models, BucketModels):
        return models.fetched(version, {name: LARGEST[name] for name in (CARD, *wanted)})
    return models / version


def has_page(models: Models, version: str) -> bool:
    """Whether there is a page about a version. Raises StorageError if nobody can tell."""
    return models.has(version, REPORT) if isinstance(models, BucketModels) else is_file(models / version / REPORT)


def current(models: Models) -> str | None:
    """The version in use; None before the first. Raises DamagedModelError if it is gone, or `current` names none, and
    StorageError if nobody can tell."""
    data, about = _small(models, CURRENT), _about(models, CURRENT)
    if data is None:
        return None
    version = data.decode("ascii", errors="replace").rstrip()
    if not re.fullmatch(VERSION, version):
        raise damaged(about, "does not name a version")
    if not (models.has(version, CARD) if isinstance(models, BucketModels) else is_folder(models / version)):
        raise damaged(about, f"names {version}, which is not there")
    return version


def _small(models: Models, name: str) -> bytes | None:
    """The bytes of a small file beside the versions; None where there is none. Raises DamagedModelError."""
    if isinstance(models, BucketModels):
        return models.small(name, LARGEST[name])
    return read_plain(models / name) if is_there(models / name) else None


def _write_small(models: Models, name: str, version: str) -> None:
    data = f"{version}\n".encode()
    if isinstance(models, BucketModels):
        models.put(name, data)
    else:
        write_atomically(models / name, data)


def _about(models: Models, name: str) -> Path:
    """What errors call a file beside the versions."""
    return Path(str(models)) / name


def load(models: Models, version: str) -> Model:
    """The model of this name. Raises ModelError if there is none, DamagedModelError."""
    require(models, version)
    try:
        return load_model(folder(models, version))
    except DamagedModelError:
        if not isinstance(models, BucketModels):
            raise
    models.forget(version)  # the copy may be what is damaged
    return load_model(folder(models, version))


def require(models: Models, version: str, unused: bool = False) -> None:
    """Raises ModelError if there is no version of this name, or it is in use and is to be `unused`."""
    if version not in names(models):
        raise ModelError(str(models), f"holds no version {version!r}", "`mien models` names those there are.")
    if unused and version == current(models):
        raise ModelError(
            f"The model {version}", "is in use", "Put another into use first: `mien models promote VERSION`."
        )


def load_cards(models: Models) -> dict[str, Card | MienError]:
    """The card of each version, oldest first, or the error that says what is wrong with it."""
    found: dict[str, Card | MienError] = {}
    for version in names(models):
        try:
            found[version] = load_card(folder(models, version, [CARD]))
        except (DamagedModelError, StorageError) as error:
            found[version] = error
    return found


def people(models: Models, version: str) -> tuple[str, ...]:
    """Whom a version knows. Raises DamagedModelError."""
    file = folder(models, version, [LABELS]) / LABELS
    return parse_labels(file, read_plain(file))


def knowing(models: Models, person: str, damaged_too: bool = False) -> list[str]:
    """The versions that know `person` (NFC), oldest first, and those that may, as their labels cannot be read, if they
    are asked for too. Then those in a bucket must be readable: a store that is busy says nothing of them. Raises
    StorageError."""
    found = []
    for version in names(models):
        try:
            knows = person in people(models, version)
        except DamagedModelError:
            knows = damaged_too
        except StorageError:
            if damaged_too and isinstance(models, BucketModels):
                raise
            knows = damaged_too
        if knows:
            found.append(version)
    return found


def page_of(models: Models, model: Model) -> Path | None:
    """The page about `model`: where people were enrolled or removed since the training which measured, that of the
    version which was trained. None also for a model that was made by enrolling alone."""
    if not model.is_trained:
        return None
    found = next((one for one in of_same_training(models, model) if has_page(models, one)), None)
    return folder(models, found, [REPORT]) / REPORT if found else None


def twin(models: Models, draft: Draft) -> str | None:
    """The newest sound version that is the model of `draft`, if there is one; only the times of the two differ."""
    for version in reversed(names(models)):
        with contextlib.suppress(DamagedModelError):
            card, _ = packed(draft, version)
            if same_but_for_run(load_card(folder(models, version, [CARD])), card):
                load_model(folder(models, version))
                return version
    return None


def of_same_training(models: Models, model: Model) -> list[str]:
    """The version of `model` and earlier ones with the same threshold and calibration, newest first: the one in which
    these were fitted, and all that were made from it by enrolling. A threshold to which the album contributed nothing
    is the same for any number of people: enrolling moves it."""
    rule = _fitted(model.threshold), model.calibration
    found = []
    for version in reversed(names(models)):
        if _age(version) <= _age(model.version):
            with contextlib.suppress(DamagedModelError):
                threshold, calibration = load_rule(folder(models, version, [THRESHOLDS]))
                if (_fitted(threshold), calibration) == rule:
                    found.append(version)
    return found


def _fitted(threshold: Threshold) -> Threshold:
    """A threshold without what follows the number of people alone."""
    return replace(threshold, value=0.0, default=0.0, people=0) if threshold.weight == 0 else threshold


def write(models: Models, draft: Draft, report: Callable[[str], bytes] | None = None) -> str:
    """Writes a new version into the folder `models` and returns its name; it is not in use until `promote`d. `report`
    makes the page about it from that name.

    Whatever happens on the way, the version is there whole or not at all. Versions sort by time: the day on which the
    draft was made, and a counter. If the newest version is the same already, which a run made that was killed before it
    could say so, nothing is written and that version is returned. Raises AlbumError for a name that cannot stand in
    labels.txt, StorageError if the disk refuses.
    """
    if isinstance(models, BucketModels):
        remove_unfinished(models)
        version = _next(models, draft.created)
    else:
        try:
            make_folder(models)
            remove_unfinished(models)
            version = _next(models, draft.created)
        except OSError as error:
            raise storage_error(models, error) from error
    card, files = packed(draft, version)
    if twin := _twin(models, card, report is not None):
        return twin
    if report is not None:
        files[REPORT] = report(version)
    if not isinstance(models, BucketModels):
        write_folder(models / version, files)
    elif not models.write(version, files):
        remedy = "Run the same command again. One album at a time writes to a place of models."
        raise StorageError(f"{models}/{version}", "was written by another program meanwhile", remedy)
    return version


def promote(models: Models, version: str, before: Callable[[], None] = lambda: None) -> None:
    """Puts `version` into use, after loading it: a damaged model never comes into use. `before` is called in between,
    for what is to be on record first.

    Raises ModelError if there is no such version, DamagedModelError, StorageError.
    """
    load(models, version)
    before()
    _write_small(models, CURRENT, version)


def retire(models: Models) -> None:
    """Leaves no version in use. Raises StorageError."""
    if isinstance(models, BucketModels):
        models.remove(CURRENT)
        return
    try:
        (models / CURRENT).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(models / CURRENT, error) from error


def drop(models: Models, version: str) -> None:
    """Deletes a version that is not in use, with its page, in one step; no other is ever called so. Raises ModelError
    if it is in use or not there, StorageError."""
    require(models, version, unused=True)
    if version == names(models)[-1]:
        _write_small(models, LAST, version)
    if isinstance(models, BucketModels):
        models.drop(version)
        return
    leaving = unfinished(models / version)  # what goes with the next run should this be killed
    try:
        shutil.rmtree(leaving, ignore_errors=True)
        os.rename(models / version, leaving)  # noqa: PTH104 - the call whose atomicity is documented
        shutil.rmtree(leaving)
    except OSError as error:
        raise storage_error(models / version, error) from error


def remove_unfinished(models: Models) -> None:
    """Removes what killed runs left half-written or half deleted. Raises StorageError."""
    if isinstance(models, BucketModels):
        models.remove_unfinished(VERSION)
    else:
        leftovers.remove_unfinished(models)


def _twin(models: Models, card: Card, with_report: bool) -> str | None:
    """The newest version, if it is whole, has a page where one is wanted, and is the model of `card` but for "run"."""
    for newest in names(models)[-1:]:
        with contextlib.suppress(DamagedModelError):
            there = folder(models, newest)
            if same_but_for_run(load_card(there), card) and (not with_report or has_page(models, newest)):
                load_model(there)
                return newest
    return None


def _next(models: Models, now: datetime) -> str:
    """The name of the next version. A clock that was set back must not sort a new model before an old one: the day is
    never before the newest's. The history goes on knowing versions that were dropped: none gets their names. The
    listing of a bucket may be late: the version in use, and one of the name that is found, are asked for too."""
    day, counter = f"{now:%Y-%m-%d}", 1
    for existing in [*names(models)[-1:], *_last(models)]:
        newest, last = _age(existing)
        if (newest, last + 1) > (day, counter):
            day, counter = newest, last + 1
    while isinstance(models, BucketModels) and models.has(f"{day}-{counter:03d}", CARD):
        counter += 1
    return f"{day}-{counter:03d}"


def _last(models: Models) -> list[str]:
    """The names of the newest version that was dropped when none was newer, and of the one in use."""
    found = list[str]()
    with contextlib.suppress(DamagedModelError):
        version = (_small(models, LAST) or b"").decode("ascii", errors="replace").rstrip()
        found += [version] if re.fullmatch(VERSION, version) else []
    with contextlib.suppress(DamagedModelError):
        found += filter(None, [current(models)])
    return found


def _age(version: str) -> tuple[str, int]:
    """The sort key: a day's thousandth model comes after its 999th."""
    return version[:10], int(version[11:])
