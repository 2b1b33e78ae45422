"""What serving costs beside the library, how long answers take, and whether a swap of the model loses any.

    python benchmarks/serve.py [--photos DIR] [--pictures 40] [--rounds 3] [--cores 0,1]
    python benchmarks/serve.py --load 30            # minutes, with a swap of the model every 20 seconds

The same pictures go, in turn, through the library (a `Recogniser` in a process of its own, given bytes), through a
plain FastAPI route around the same call, and through `mien serve`. CPU time is that of the process with its children.
Throughput is that of two library processes, and of each server with four clients. At half of the throughput that the
server has, requests are sent at random moments (exponential gaps), and the latency is that from the moment at which a
request was due. Without DIR, sample people are taken. One machine runs the clients, too: where it has more than two
cores, let `--cores` name two for the processes that are measured, and the clients take the others.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import httpx
import numpy as np
import psutil  # type: ignore[import-untyped]

from mien import Album

SAMPLE = Path(__file__).parents[1] / "examples/album/people"
LEARNED = 6
PEOPLE = 8
SWAP_SECONDS = 20.0
CLIENTS = 4

LIBRARY = """
import sys, time, json
from pathlib import Path
from mien import Album
pictures = [Path(name).read_bytes() for name in sys.argv[2:]]
with Album(sys.argv[1], workers=1).recogniser() as recogniser:
    for picture in pictures[:3]:
        recogniser.answer(picture)
    print("ready", flush=True)
    for line in sys.stdin:
        for number in range(int(line)):
            json.dumps(recogniser.answer(pictures[number % len(pictures)]).to_json())
        print("done", flush=True)
"""

PLAIN = """
import sys, uvicorn
from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from mien import Album
recogniser = Album(sys.argv[1]).recogniser()
app = FastAPI()

@app.post("/v1/classify")
async def classify(request: Request):
    answer = await run_in_threadpool(recogniser.answer, await request.body())
    return {"model": answer.model, "answers": [answer.to_json()]}

@app.get("/readyz")
async def ready():
    return {}

uvicorn.run(app, port=int(sys.argv[2]), http="h11", log_level="error", access_log=False)
"""


@dataclass(frozen=True)
class Peer:
    """Something that answers: its process, its address, "" for the library."""

    name: str
    process: subprocess.Popen[str]
    address: str
    key: str = ""

    def cpu(self) -> float:
        """CPU seconds of the process and its children."""
        whole = psutil.Process(self.process.pid)
        each = [whole, *whole.children(recursive=True)]
        used = 0.0
        for one in each:
            with_times = one.cpu_times()
            used += with_times.user + with_times.system
        return used

    def resident(self) -> int:
        """Bytes of memory of the process and its children."""
        whole = psutil.Process(self.process.pid)
        return sum(one.memory_info().rss for one in [whole, *whole.children(recursive=True)])

    def ask(self, connection: http.client.HTTPConnection, picture: bytes) -> int:
        """The status of the answer about a picture."""
        headers = {"x-api-key": self.key, "content-type": "image/jpeg"}
        connection.request("POST", "/v1/classify", picture, headers)
        answer = connection.getresponse()
        answer.read()
        return answer.status

    def connection(self) -> http.client.HTTPConnection:
        """A connection to it; the standard library's costs a tenth of what httpx takes for a request."""
        return http.client.HTTPConnection(self.address.removeprefix("http://"), timeout=120)


def album_of(photos: Path, top: Path) -> tuple[Path, list[Path]]:
    """An album with two models, of whom the later knows one person more; and photos that it has not learned from."""
    folder, asked = top / "album", []
    album = Album.create(folder, "measuring")
    people = sorted(one for one in photos.iterdir() if one.is_dir())[: PEOPLE + 1]
    for place, person in enumerate(people):
        files = sorted(file for file in person.iterdir() if file.is_file())
        asked += files[LEARNED : LEARNED + 6]
        if place < PEOPLE:
            album.add(person.name, files[:LEARNED])
    album.train()
    album.add(people[-1].name, sorted(people[-1].iterdir())[:LEARNED])
    album.train()
    return folder, asked


@contextmanager
def served(folder: Path) -> Iterator[Peer]:
    """`mien serve`, for which a key is made."""
    made = subprocess.run([*_mien(folder), "keys", "add", "benchmark"], capture_output=True, text=True, check=True)
    settings = folder / "mien.toml"
    settings.write_text(settings.read_text() + "\n[server]\nper_minute = 0\n")
    port = _free_port()
    process = subprocess.Popen([*_mien(folder), "serve", "--port", str(port)], stderr=subprocess.DEVNULL, text=True)
    with _ended(process):
        peer = Peer("mien serve", process, f"http://127.0.0.1:{port}", made.stdout.strip())
        _await(peer)
        yield peer


@contextmanager
def plain(folder: Path) -> Iterator[Peer]:
    """A FastAPI route around the same call."""
    port = _free_port()
    process = subprocess.Popen([sys.executable, "-c", PLAIN, str(folder), str(port)], text=True)
    with _ended(process):
        peer = Peer("plain route", process, f"http://127.0.0.1:{port}")
        _await(peer)
        yield peer


@contextmanager
def library(folder: Path, pictures: Sequence[Path]) -> Iterator[Peer]:
    """The library in a process of its own."""
    line = [sys.executable, "-c", LIBRARY, str(folder), *map(str, pictures)]
    process = subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    with _ended(process):
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Peer("library", process, "")


def answer_all(peer: Peer, pictures: Sequence[bytes], number: int, clients: int = 1) -> float:
    """Seconds that so many answers take."""
    began = time.perf_counter()
    if not peer.address:
        assert peer.process.stdin is not None and peer.process.stdout is not None
        print(number, file=peer.process.stdin, flush=True)
        assert peer.process.stdout.readline() == "done\n"
        return time.perf_counter() - began
    with _connected(peer, clients) as (threads, own):
        each = threads.map(lambda place: peer.ask(own.connection, pictures[place % len(pictures)]), range(number))
        statuses = Counter(each)
    if set(statuses) != {200}:
        raise SystemExit(f"{peer.name} answered {dict(statuses)}")
    return time.perf_counter() - began


def latencies(peer: Peer, pictures: Sequence[bytes], rate: float, number: int) -> list[float]:
    """Seconds from the moment at which each request was due to its answer; so many requests at random moments."""
    chance, due, moment = random.Random(1), [], 0.0
    for _ in range(number):
        moment += chance.expovariate(rate)
        due.append(moment)
    began = time.perf_counter()

    def one(place: int) -> float:
        time.sleep(max(0.0, due[place] - (time.perf_counter() - began)))
        status = peer.ask(own.connection, pictures[place % len(pictures)])
        own.connection.close()  # the next is long after, and the server does not wait for ever
        if status != 200:
            raise SystemExit(f"{peer.name} answered {status}")
        return time.perf_counter() - began - due[place]

    with _connected(peer, 32) as (threads, own):
        return list(threads.map(one, range(number)))


@contextmanager
def _connected(peer: Peer, clients: int) -> Iterator[tuple[ThreadPoolExecutor, threading.local]]:
    """So many threads, each of which has a connection of its own."""
    own, made = threading.local(), list[http.client.HTTPConnection]()

    def connect() -> None:
        own.connection = peer.connection()
        made.append(own.connection)

    try:
        with ThreadPoolExecutor(clients, initializer=connect) as threads:
            yield threads, own
    finally:
        for connection in made:
            connection.close()


def compare(folder: Path, files: Sequence[Path], number: int, rounds: int, cores: Sequence[int] = ()) -> None:
    """Prints CPU, throughput and latency of the three, which run on these `cores` alone if there are any, and the
    clients on all others."""
    every = psutil.Process().cpu_affinity() if cores else []
    pictures = [file.read_bytes() for file in files]
    cpu: dict[str, list[float]] = {}
    pace: dict[str, list[float]] = {}
    if cores:
        psutil.Process().cpu_affinity([*cores])
    with (
        library(folder, files) as one,
        library(folder, files) as two,
        plain(folder) as peer,
        served(folder) as server,
    ):
        if cores:
            psutil.Process().cpu_affinity([core for core in every if core not in cores])
        for other in (peer, server):
            answer_all(other, pictures, 8, CLIENTS)  # until everything is open
        for _ in range(rounds):
            for each in (one, peer, server):
                before = each.cpu()
                answer_all(each, pictures, number)
                cpu.setdefault(each.name, []).append((each.cpu() - before) / number)
            with ThreadPoolExecutor(2) as threads:
                began = time.perf_counter()
                list(threads.map(lambda process: answer_all(process, pictures, number), (one, two)))
                pace.setdefault("library", []).append(2 * number / (time.perf_counter() - began))
            for each in (peer, server):
                pace.setdefault(each.name, []).append(2 * number / answer_all(each, pictures, 2 * number, CLIENTS))
        print(f"{number} pictures a round, {rounds} rounds, medians; load average {os.getloadavg()[0]:.1f}\n")
        print(f"{'':12} {'CPU s/picture':>14} {'of library':>11} {'pictures/s':>11} {'of two':>7}")
        for name, used in cpu.items():
            share = statistics.median(a / b for a, b in zip(used, cpu["library"], strict=True))
            speed = statistics.median(a / b for a, b in zip(pace[name], pace["library"], strict=True))
            pictures_a_second = statistics.median(pace[name])
            print(f"{name:12} {statistics.median(used):14.4f} {share:11.2f} {pictures_a_second:11.2f} {speed:7.2f}")
        rate = statistics.median(pace[server.name]) / 2
        print(f"\nlatency at half load, {rate:.2f} requests a second, {4 * number} requests")
        for each in (peer, server):
            took = np.array(latencies(each, pictures, rate, 4 * number))
            median, worst = np.percentile(took, [50, 99])
            print(f"{each.name:12} median {median:.3f} s, p99 {worst:.3f} s, {worst / median:.1f} times")


@dataclass(frozen=True)
class Loaded:
    """What came of a load: answers by status (0: none came), swaps that were seen, bytes of memory over time."""

    statuses: Counter[int]
    swaps: int
    seconds: tuple[float, ...]
    resident: tuple[int, ...]

    @property
    def slope(self) -> float:
        """Bytes an hour by which memory grew in the second half, by least squares."""
        half = len(self.seconds) // 2
        return float(np.polyfit(self.seconds[half:], self.resident[half:], 1)[0] * 3600)


def load(
    folder: Path, pictures: Sequence[bytes], seconds: float, swap_seconds: float = SWAP_SECONDS, rest: float = 0
) -> Loaded:
    """Two clients ask as often as they are answered, for so long, each after a `rest` of so many seconds, while another
    process puts now one version into use, now the other."""
    album = Album(folder)
    versions = [one.version for one in album.models()][-2:]
    statuses: Counter[int] = Counter()
    models: list[str] = []
    moments: list[float] = []
    memory: list[int] = []
    ended = threading.Event()
    with served(folder) as server:
        answer_all(server, pictures, 4, 2)

        def client() -> None:
            with httpx.Client(timeout=120) as one:
                while not ended.is_set():
                    headers = {"x-api-key": server.key, "content-type": "image/jpeg"}
                    picture = random.choice(pictures)
                    try:
                        answer = one.post(f"{server.address}/v1/classify", content=picture, headers=headers)
                    except httpx.HTTPError:
                        statuses[0] += 1
                        continue
                    statuses[answer.status_code] += 1
                    models.append(answer.headers.get("x-mien-model", ""))
                    ended.wait(rest)

        threads = [threading.Thread(target=client) for _ in range(2)]
        for thread in threads:
            thread.start()
        began, place = time.perf_counter(), 0
        while (now := time.perf_counter() - began) < seconds:
            if now >= place * swap_seconds:
                subprocess.run(
                    [*_mien(folder), "models", "promote", versions[place % 2]], check=True, capture_output=True
                )
                place += 1
            moments.append(now)
            memory.append(server.resident())
            ended.wait(min(1.0, swap_seconds / 4))
        ended.set()
        for thread in threads:
            thread.join()
    swaps = sum(one != other for one, other in pairwise(models))
    return Loaded(statuses, swaps, tuple(moments), tuple(memory))


def _mien(folder: Path) -> list[str]:
    return [sys.executable, "-m", "mien", "-C", str(folder)]


def _free_port() -> int:
    import socket

    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def _await(peer: Peer) -> None:
    while True:
        try:
            if httpx.get(f"{peer.address}/readyz", verify=False).status_code == 200:
                return
        except httpx.HTTPError:
            if peer.process.poll() is not None:
                raise SystemExit(f"{peer.name} ended") from None
            time.sleep(0.05)


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    try:
        yield
    finally:
        process.terminate()
        process.wait()
        for stream in (process.stdin, process.stdout):
            if stream:
                stream.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=SAMPLE, help="a folder for each person")
    parser.add_argument("--pictures", type=int, default=40, help="pictures in a round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cores", default="", help="where the measured processes run, as in 0,1")
    parser.add_argument("--load", type=float, default=0, metavar="MINUTES", help="only this: load with swaps")
    given = parser.parse_args()
    top = Path(tempfile.mkdtemp())
    try:
        folder, files = album_of(given.photos, top)
        if not given.load:
            compare(folder, files, given.pictures, given.rounds, [int(core) for core in given.cores.split(",") if core])
            return
        found = load(folder, [file.read_bytes() for file in files], given.load * 60)
        lost = sum(number for status, number in found.statuses.items() if status != 200)
        print(f"{given.load:g} minutes: {dict(found.statuses)}, {lost} lost; {found.swaps} changes of the model seen")
        print(
            f"memory of the server and its children: {found.resident[0] >> 20} MB at first, "
            f"{max(found.resident) >> 20} at most, {found.resident[-1] >> 20} at last; "
            f"slope of the second half {found.slope / 1e6:+.1f} MB an hour"
        )
        print(json.dumps({"statuses": dict(found.statuses), "swaps": found.swaps, "slope": round(found.slope)}))
    finally:
        shutil.rmtree(top)


if __name__ == "__main__":
    main()
