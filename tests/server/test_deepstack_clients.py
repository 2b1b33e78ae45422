"""The published clients of DeepStack and CodeProject.AI ask a server on loopback."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from filelock import FileLock

from mien.records.access import Access
from mien.settings import Settings
from mien.storage.layout import Layout
from mien.text.access import Scope

ROOT = Path(__file__).resolve().parent.parent.parent
CLIENTS = ROOT / ".venv/clients/deepstack"
PEOPLE = ["Amara", "Erik", "Ingrid", "Jun", "Luis", "Nora"]


def test_the_clients_change_an_address_and_a_key(album: Path, sample: Path) -> None:
    CLIENTS.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(CLIENTS.parent / "lock"):  # other tests want their clients at the same time
        subprocess.run(
            [ROOT / "scripts/clients"],
            env=os.environ | {"PYTHON": sys.executable},
            stdout=subprocess.DEVNULL,
            check=True,
        )
    with (album / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('\n[server]\nport = 0\ndeepstack = true\ndeepstack_key = "keyless"\n')
    access = Access.for_writing(Layout.of(album, Settings()).access_file)
    now = datetime.now(UTC)
    key, _ = access.keys.add("clients", Scope.ADMIN, None, now), access.keys.add("keyless", Scope.ADMIN, None, now)
    access.close()
    pictures = ["strangers/Hugo/01.jpg", "people/Nora/07.jpg", "no-face/01.jpg"]
    serve = [sys.executable, "-m", "mien", "-C", str(album), "serve"]
    with subprocess.Popen(serve, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as server:
        try:
            assert server.stderr
            host, port = next(
                found.groups() for line in server.stderr if (found := re.search(r"http://([\d.]+):(\d+)", line))
            )
            clients = [sys.executable, str(Path(__file__).with_name("deepstack_clients.py")), host, port, key]
            ran = subprocess.run(
                [*clients, *(str(sample / one) for one in pictures)],
                env=os.environ | {"PYTHONPATH": str(CLIENTS)},
                capture_output=True,
                text=True,
            )
        finally:
            server.terminate()
            server.communicate(timeout=60)
    assert ran.returncode == 0, ran.stderr
    said = json.loads(ran.stdout)
    assert said["sdk"] == {
        "detect": 1,
        "nobody": 0,
        "before": ["unknown"],
        "register": True,
        "recognize": [["Zoë", True, True]],
        "list": [*PEOPLE, "Zoë"],
        "delete": True,
        "after": ["unknown"],
        "no face": "Invalid image",
    }
    for name in ("deepstack-python", "codeproject"):
        again = said[name]
        assert (again["detect"], again["nobody"], again["register"]) == (1, [], "face added")
        assert again["recognize"] == [f"Zoë {name}"] and again["list"] == [*PEOPLE, f"Zoë {name}"]
        assert "400" in again["no face"]
    assert "401" in said["wrong key"]
