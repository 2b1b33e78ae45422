"""A `mien serve` process of its own, as clients meet it."""

from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

MIEN = [sys.executable, "-m", "mien"]


@dataclass(frozen=True)
class Running:
    """A `mien serve` process over an album, at an address, with a key for everything."""

    address: str
    key: str

    def ask(self, method: str, path: str, **given: Any) -> httpx.Response:
        """The answer of CompreFace's API."""
        headers = {"x-api-key": self.key}
        return httpx.request(method, f"{self.address}/api/v1{path}", headers=headers, timeout=300, **given)


@contextlib.contextmanager
def start(command: list[str], folder: Path) -> Iterator[Running]:
    """Starts `mien serve`, and waits until it listens; it ends after this."""
    process = subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    said, key, address = [], "", ""
    try:
        for line in process.stderr:
            said.append(line)
            key = line.strip() if line.startswith("    ") else key
            if line.startswith("Listening at "):
                address = line.split()[2].rstrip(",")
                break
        assert key and address, "".join(said)
        threading.Thread(target=process.stderr.read, daemon=True).start()  # or its log would fill the pipe
        yield Running(address, key)
    finally:
        process.terminate()
        process.wait(timeout=300)


@pytest.fixture(scope="session")
def serving() -> Callable[[list[str], Path], contextlib.AbstractContextManager[Running]]:
    """Starts a `mien serve` by its command line, in a folder."""
    return start


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One over an album in which nobody is yet."""
    folder = tmp_path_factory.mktemp("served")
    subprocess.run([*MIEN, "init", "album"], cwd=folder, check=True, stdout=subprocess.DEVNULL)
    with (folder / "album/mien.toml").open("a") as file:
        file.write("\nviews = 1\n\n[server]\nkey_in_path = true\nper_minute = 0\n")
    with start([*MIEN, "-C", "album", "serve", "--port", "0"], folder) as one:
        yield one


@pytest.fixture(scope="module")
def pictures(sample: Path) -> tuple[Path, Path, Path]:
    """Two of one person, and one of a stranger."""
    first, second = sorted((sample / "people/Amara").glob("*.jpg"))[:2]
    return first, second, min((sample / "strangers").rglob("*.jpg"))
