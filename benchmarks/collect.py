"""How fast and how exactly mien collects: 50 pages and 1,000 pictures of the sample people, from a site of its own.

python benchmarks/collect.py [--pictures N] [--rounds N] [--at-once N ...] [--bare]

First the pace: the site behaves, and mien and a plain loop collect it in turn, a few rounds, from a manifest, so that
both know at once where the pictures are. The loop is what one would write in its place: a thread for each request that
may be made at once, httpx, then the same hashing and decoding, fsync and rename for each picture, and no more: no
robots.txt, no provenance, no memory of what was fetched. Then the exactness: the site misbehaves (see loopback.py), its
pages are collected twice, and a third time with every picture asked for changes. The program fails unless exactly what
ought to arrive has, nothing was transferred twice, and never more was asked at once than is allowed.

The site runs in a process of its own. mien runs in this one, so that its start (see start.py) is not counted.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import io
import json
import multiprocessing
import os
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

import httpcore
import httpx

from loopback import SELECTORS, Site, sample_pictures
from mien import Album
from mien.intake import Collected
from mien.vision.images import decode
from protocol import machine

AIM = 0.8
"""Of the plain loop's pace."""
DAY = datetime(2026, 11, 23, 12, tzinfo=UTC)
INTAKE = f"{DAY.date()}-training-images"
FORBIDDEN = ("/private/", "/abroad/")
"""Where a polite client does not go: see DECOYS of loopback.py."""


class Counts(NamedTuple):
    """What a site counted: `pictures_sent`, `busiest` and `requests` as in Site."""

    pictures_sent: int
    busiest: int
    requests: Counter[str]


class Remote(NamedTuple):
    """A site in a process of its own. `kinds` are those of its pictures, by path."""

    url: str
    expected: frozenset[tuple[str, str]]
    kinds: dict[str, str]
    ask: Connection

    def counts(self) -> Counts:
        """What it counted since it was asked last."""
        self.ask.send(None)
        counts: Counts = self.ask.recv()
        return counts


@contextmanager
def remote(pictures: Sequence[tuple[str, bytes]], **options: Any) -> Iterator[Remote]:
    """A site of `pictures` in a process of its own; `options` are those of Site."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, pictures, options), daemon=True)
    process.start()
    there.close()
    try:
        url, expected, kinds = here.recv()
        yield Remote(url, expected, kinds, here)
    finally:
        here.close()  # which ends it
        process.join()


def _serve(asked: Connection, pictures: Sequence[tuple[str, bytes]], options: dict[str, Any]) -> None:
    with Site(pictures, **options) as site:
        asked.send((site.url, site.expected, {entry.path: entry.kind for entry in site.entries}))
        while True:
            try:
                asked.recv()
            except EOFError:
                return
            asked.send(Counts(site.pictures_sent, site.busiest, site.requests))
            site.forget()


@contextmanager
def client(at_once: int, bare: bool) -> Iterator[Callable[[str], bytes]]:
    """What is at a URL: by httpx, or by what is below it alone."""
    if bare:
        with httpcore.ConnectionPool(max_connections=at_once) as pool:
            yield lambda url: pool.request("GET", url).content
    else:
        limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
        with httpx.Client(trust_env=False, limits=limits) as web:
            yield lambda url: web.get(url).raise_for_status().content


def plain_loop(url: str, folder: Path, at_once: int, bare: bool = False) -> None:
    """Collects the manifest at `url`, which must be without faults, into `folder`."""
    with client(at_once, bare) as get, ThreadPoolExecutor(at_once) as threads:

        def fetch(number: int, person: str, address: str) -> None:
            data = get(address)
            photo = decode(data, address).photo  # hashes, too
            temporary = folder / f".{number}.tmp"
            with temporary.open("xb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            (folder / person).mkdir(exist_ok=True)
            temporary.rename(folder / person / f"{photo.sha256[:16]}.jpg")

        rows = csv.DictReader(io.StringIO(get(f"{url}/manifest.csv").decode()))
        started = [threads.submit(fetch, number, row["person"], row["url"]) for number, row in enumerate(rows)]
        for each in started:
            each.result()


def collect(folder: Path, at_once: int, days: int = 0, **options: object) -> Collected:
    """What an album at `folder`, made if there is none, collects so many `days` later from one source, which has these
    `options`."""
    settings = {"basis": "consent", "licence": "CC0-1.0", "allow_private": True, "per_host": at_once}
    lines = [f"{key} = {json.dumps(value)}" for key, value in (settings | options).items()]
    if not Album.is_at(folder):
        Album.create(folder, "measurement")
    (folder / "mien.toml").write_text("\n".join(["[sources.site]", *lines]), encoding="utf-8")
    return Album(folder, clock=lambda: DAY + timedelta(days)).collect()


def arrived(folder: Path) -> frozenset[tuple[str, str]]:
    """(person, SHA-256) of what lies in the folders of persons in `folder`. Ends the program if any is there twice."""
    files = [file for file in folder.glob("*/*") if file.is_file()]
    found = frozenset((file.parent.name, hashlib.sha256(file.read_bytes()).hexdigest()) for file in files)
    check("no photo came twice", len(found) == len(files))
    return found


def check(promise: str, kept: bool) -> None:
    """Ends the program if a promise is not kept."""
    if not kept:
        sys.exit(f"This is not so: {promise}.")


class Took(NamedTuple):
    """Seconds by the clock, and of CPU in this process, site excluded."""

    clock: float
    cpu: float


def timed(job: Callable[[], object]) -> Took:
    clock, cpu = time.perf_counter(), time.process_time()
    job()
    return Took(time.perf_counter() - clock, time.process_time() - cpu)


def pace(pictures: Sequence[tuple[str, bytes]], at_once: int, rounds: int, scratch: Path, bare: bool = False) -> float:
    """Prints how mien's pace compares with the plain loop's, and gives its share of that: the median of the rounds'."""
    shares = []
    with remote(pictures, share=0, decoys=0) as site:
        for number in range(rounds + 1):
            looped, home = scratch / f"loop-{at_once}-{number}", scratch / f"album-{at_once}-{number}"
            looped.mkdir()
            loop = partial(plain_loop, site.url, looped, at_once, bare)
            mien = partial(collect, home, at_once, kind="manifest", url=f"{site.url}/manifest.csv")
            if number % 2:  # in turn, as the second finds the disk busy with what the first wrote
                of_loop, of_mien = timed(loop), timed(mien)
            else:
                of_mien, of_loop = timed(mien), timed(loop)
            again = timed(mien)
            counts = site.counts()
            check("all arrived", arrived(looped) == arrived(home / INTAKE) == site.expected)
            check("nothing was sent to either twice", counts.pictures_sent == 2 * len(pictures))
            check("never too many at once", counts.busiest <= at_once)
            if number:  # the first time modules are imported and disks made ready
                shares.append(of_loop.clock / of_mien.clock)
                paces = f"{len(pictures) / of_mien.clock:>9.0f}{len(pictures) / of_loop.clock:>13.0f}"
                cpu = f"{1000 * of_mien.cpu / len(pictures):>14.2f}{1000 * of_loop.cpu / len(pictures):>10.2f}"
                print(f"{at_once:>7}{number:>7}{paces}{shares[-1]:>8.2f}{cpu}{again.clock:>15.2f}", flush=True)
    return statistics.median(shares)


def exactness(pictures: Sequence[tuple[str, bytes]], scratch: Path, at_once: int = 4) -> None:
    """Prints what comes of collecting the pages of a site that misbehaves, three times."""
    home = scratch / "misbehaving"
    with remote(pictures) as site:
        known = len(pictures)
        doubtful = sum(kind in ("html", "short") for kind in site.kinds.values())  # may be pictures another time
        source = {"kind": "site", "url": f"{site.url}/people/1", "max_megabytes": 8, **SELECTORS}
        for days, name in enumerate(("the first time", "the next day", "asked for changes")):
            started = time.perf_counter()
            (fared,) = collect(home, at_once, days, recheck_days=0 if days == 2 else 30, **source).sources
            took, counts = time.perf_counter() - started, site.counts()
            figures = (fared.photos, fared.known, len(fared.refused), len(fared.failed))
            print(f"{name:<19}{took:>8.1f}" + "".join(f"{figure:>9}" for figure in (*figures, *counts[:2])), flush=True)
            check("exactly what ought to arrive has", arrived(home / INTAKE) == site.expected)
            check(
                "the ledger knows what came",
                (fared.photos, fared.known) == ((0, known) if days else (len(pictures), 0)),
            )
            check("no picture was sent twice", counts.pictures_sent == doubtful + (0 if days else known))
            check("never too many at once", counts.busiest <= at_once)
            check("nothing forbidden was asked", not any(path.startswith(FORBIDDEN) for path in counts.requests))
            if not days:
                left_out = Counter(
                    f"{site.kinds[each.location.removeprefix(site.url)]} as {each.error.kind}"
                    for each in (*fared.refused, *fared.failed)
                )
    print("left out: " + ", ".join(f"{count} {what}" for what, count in sorted(left_out.items())))


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--pictures", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--at-once", type=int, nargs="*", default=[4, 16], help="requests (default: 4 and 16)")
    parser.add_argument("--bare", action="store_true", help="the loop without httpx, on what is below it alone")
    arguments = parser.parse_args()
    pictures = sample_pictures(arguments.pictures)
    size = sum(len(data) for _, data in pictures) / len(pictures) / 1000
    print(f"{machine()}\nload average {os.getloadavg()[0]:.1f}; {len(pictures):,} pictures of {size:.0f} kB\n")
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        print("                photos a second              CPU ms a photo")
        print("at once  round     mien     the loop   share          mien  the loop  second run, s")
        shares = {
            at_once: pace(pictures, at_once, arguments.rounds, scratch, arguments.bare) for at_once in arguments.at_once
        }
        for at_once, share in shares.items():
            print(
                f"{at_once} at once: {share:.2f} of the loop's pace (aim: {AIM}, {'met' if share >= AIM else 'MISSED'})"
            )
        print("\nmisbehaving         seconds  brought    known  refused   failed     sent  busiest")
        exactness(pictures, scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
