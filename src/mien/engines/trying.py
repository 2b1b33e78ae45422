"""A scheduler of Dask, tried: whether it answers, and what its workers are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from mien.engines.dask import UNREACHABLE, unreachable


@dataclass(frozen=True, slots=True)
class TriedWorkers:
    """`versions` of mien by worker, "" where it has none; `memory` in bytes, 0 for no limit; `resources` are those of
    all workers, each with its sum."""

    versions: tuple[str, ...]
    threads: int
    memory: int
    resources: Mapping[str, float]


def try_scheduler(address: str, seconds: float) -> TriedWorkers:
    """What is to be said of the workers of a scheduler, which has so many seconds to answer. Raises EngineError where
    it does not, and ImportError without distributed."""
    from distributed import Client

    try:
        with Client(address, timeout=seconds, set_as_default=False) as client:
            workers = list(client.scheduler_info(n_workers=-1)["workers"].values())
            said = client.run(_version, on_error="return") if workers else {}
    except UNREACHABLE as error:
        raise unreachable(address, error) from error
    resources: dict[str, float] = {}
    for worker in workers:
        for name, amount in worker.get("resources", {}).items():
            resources[name] = resources.get(name, 0.0) + amount
    return TriedWorkers(
        tuple(one if isinstance(one, str) else "" for one in said.values()),
        sum(worker["nthreads"] for worker in workers),
        sum(worker["memory_limit"] for worker in workers),
        resources,
    )


def _version() -> str:
    """The version of mien where this runs."""
    from importlib.metadata import version

    return version("mien")
