"""scripts/install with a Python that only writes down what it is asked to do; the lock files by what they must hold."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.version import Version

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ("run", "build", "server", "scale", "dev")

FAKE_PYTHON = """#!/bin/sh
printf '%s\\n' "$*" >> log
case "$*" in
  "-c import sys; sys.exit"*) exit $TOO_OLD ;;
  "-c import sys; print"*) echo 3.11 ;;
  "-c import pip") case "$0" in .venv/*) test ! -e .venv/without-pip ;; esac ;;
  "-c import "*) for module in $LACKS; do case "$*" in *"$module"*) exit 1 ;; esac; done ;;
  "-m v"*.venv)
    rm -rf .venv; mkdir -p .venv/bin; cp "$0" .venv/bin/python
    case "$*" in *--without-pip*) touch .venv/without-pip ;; esac ;;
  "-m pip"*) exit $PIP_FAILS ;;
  "tools/first_encoder.py") echo "one line"; exit $ENCODER_FAILS ;;
  *) echo "ran: $*" ;;
esac
"""


class Checkout:
    """A checkout that holds what scripts/install reads, in a folder whose name has a space, and a fake Python."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "a checkout"
        (self.root / "scripts").mkdir(parents=True)
        (self.root / "requirements").mkdir()
        for script in ("install", "test", "demo"):
            shutil.copy(ROOT / "scripts" / script, self.root / "scripts" / script)
        (self.root / "pyproject.toml").write_text("[project]\n")
        for lock in LOCKS:
            (self.root / f"requirements/{lock}.txt").write_text("one==1\n")
        self.python = folder / "fake python"
        self.python.write_text(FAKE_PYTHON)
        self.python.chmod(0o755)

    def install(
        self, *arguments: str, lacks: str = "", too_old: int = 0, pip_fails: int = 0, encoder_fails: int = 0
    ) -> subprocess.CompletedProcess[str]:
        """Run scripts/install from elsewhere; `log` starts empty each time."""
        (self.root / "log").write_text("")
        choices = {"LACKS": lacks, "TOO_OLD": str(too_old), "PIP_FAILS": str(pip_fails)}
        return self.run("install", *arguments, **choices, ENCODER_FAILS=str(encoder_fails))

    def run(self, script: str, *arguments: str, **choices: str) -> subprocess.CompletedProcess[str]:
        choices = {"PYTHON": str(self.python), "TOO_OLD": "0", "PIP_FAILS": "0", "ENCODER_FAILS": "0", **choices}
        command = [str(self.root / "scripts" / script), *arguments]
        return subprocess.run(
            command, cwd="/", env={"PATH": os.environ["PATH"], **choices}, capture_output=True, text=True, check=False
        )

    def asked(self) -> list[str]:
        """What the Python was asked to do, the looking around (-c) aside."""
        return [line for line in (self.root / "log").read_text().splitlines() if line.startswith("-m")]


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    if sys.platform == "win32":
        pytest.skip("the fake Python is a shell script")
    return Checkout(tmp_path)


def test_installs_the_locked_packages_with_hashes_then_mien(checkout: Checkout) -> None:
    result = checkout.install()
    assert result.returncode == 0, result.stderr
    venv, packages, mien = checkout.asked()
    assert venv == "-m venv --clear .venv"
    assert "--require-hashes" in packages and "requirements/run.txt" in packages
    assert "--no-deps --no-build-isolation -e ." in mien


def test_does_nothing_when_nothing_changed(checkout: Checkout) -> None:
    checkout.install()
    assert checkout.install().returncode == 0
    assert checkout.asked() == []
    (checkout.root / "requirements/run.txt").write_text("one==2\n")
    checkout.install()
    assert len(checkout.asked()) == 2  # the packages and mien again, in the same environment


def test_the_best_encoder_is_tried_once_and_is_no_condition(checkout: Checkout) -> None:
    def tried() -> int:
        return (checkout.root / "log").read_text().count("tools/first_encoder.py")

    first = checkout.install("--", "program", encoder_fails=1)
    assert first.returncode == 0 and first.stdout == "ran: program\n" and tried() == 1
    assert "no encoder was added; mien goes on with its own" in first.stderr
    again = checkout.install("--", "program")
    assert again.returncode == 0 and tried() == 0
    by_itself = checkout.install()
    assert by_itself.returncode == 0 and tried() == 1 and "one line" in by_itself.stderr and not by_itself.stdout


def test_development_environment_is_enough_to_run(checkout: Checkout) -> None:
    checkout.install("--dev")
    assert any("requirements/dev.txt" in line for line in checkout.asked())
    checkout.install()
    assert checkout.asked() == []


def test_moved_checkout_starts_over(checkout: Checkout) -> None:
    checkout.install()
    checkout.root = checkout.root.rename(checkout.root.with_name("moved"))
    checkout.install()
    assert checkout.asked()[0] == "-m venv --clear .venv"


def test_the_tests_say_how_long_they_take_and_leave_nothing_in_memory(checkout: Checkout) -> None:
    def left() -> set[Path]:
        return set(Path("/dev/shm").glob("mien-tests-*"))

    before = left()
    everything, some = checkout.run("test"), checkout.run("test", "tests/text", "-x")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    processes = min(cores + (cores + 1) // 2, 12)
    assert everything.stdout == f"ran: -m pytest --numprocesses {processes} --dist worksteal -rs\n"
    assert "minutes on two cores" in everything.stderr
    assert some.stdout == "ran: -m pytest tests/text -x\n" and "minutes" not in some.stderr.replace("a minute", "")
    assert [one for one in left() - before if not any(one.iterdir())] == [], "one in use is somebody else's"


def test_the_demo_is_told_since_when_it_is_awaited(checkout: Checkout) -> None:
    assert checkout.run("demo", "a folder").stdout == "ran: examples/demo.py a folder\n"


def test_failed_installation_is_not_remembered(checkout: Checkout) -> None:
    failed = checkout.install(pip_fails=1)
    assert failed.returncode == 1
    assert "could not be installed" in failed.stderr
    checkout.install()
    assert len(checkout.asked()) == 2  # the environment is there; its packages are asked for again


def test_hands_the_rest_to_the_environments_python(checkout: Checkout) -> None:
    assert checkout.install("--", "-m", "pytest", "a b").stdout == "ran: -m pytest a b\n"


@pytest.mark.parametrize(
    ("lacks", "way"),
    [
        ("ensurepip", "-m virtualenv --quiet --clear .venv"),
        ("ensurepip virtualenv", "-m venv --clear --without-pip .venv"),
    ],
)
def test_python_without_ensurepip_is_helped(checkout: Checkout, lacks: str, way: str) -> None:
    result = checkout.install(lacks=lacks)
    assert result.returncode == 0, result.stderr
    asked = checkout.asked()
    assert asked[0] == way
    borrowed = "--without-pip" in way
    assert all(line.startswith("-m pip --python .venv/bin/python install") is borrowed for line in asked[1:])


def test_python_without_any_way_is_refused_kindly(checkout: Checkout) -> None:
    # "pip" last: the environment-making modules are asked for together with it
    result = checkout.install(lacks="ensurepip virtualenv pip")
    assert result.returncode == 13
    assert "apt install python3.11-venv" in result.stderr
    assert "Traceback" not in result.stderr
    assert not (checkout.root / ".venv").exists()


def test_no_modern_python_is_refused_kindly(checkout: Checkout) -> None:
    result = checkout.install(too_old=1)
    assert result.returncode == 13
    assert "no Python 3.11 or newer" in result.stderr
    assert str(checkout.python) in result.stderr


def test_wrong_word_is_a_usage_error(checkout: Checkout) -> None:
    assert checkout.install("--develop").returncode == 2


def pins(lock: str) -> dict[str, Version]:
    found = re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / f"requirements/{lock}.txt").read_text(), re.MULTILINE)
    return {name: Version(version) for name, version in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_address(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    entries = re.split(r"\n(?=[a-z])", text)[1:]
    assert len(entries) == len(pins(lock)) > 5
    assert [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text and "index" not in text


@pytest.mark.parametrize("lock", ["clients", "node"])
def test_what_tests_ask_a_server_with_is_locked_too(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    entries = re.split(r"\n(?=[a-z])", text)[1:]
    assert entries and [entry.split()[0] for entry in entries if "--hash=sha256:" not in entry] == []
    assert "://" not in text and "index" not in text
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    for requirement in map(Requirement, project["dependency-groups"][lock]):
        assert pins(lock)[requirement.name] in requirement.specifier, f"run scripts/lock: {requirement}"


def test_the_client_in_javascript_is_locked_too() -> None:
    text = (ROOT / "tests/server/compreface/javascript/package-lock.json").read_text()
    packages = json.loads(text)["packages"]
    assert all("integrity" in one for name, one in packages.items() if name) and len(packages) > 20
    assert "://" not in text and "resolved" not in text


def test_locks_satisfy_pyproject() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    build = project["build-system"]["requires"]
    mien = project["project"]["dependencies"]
    extras = project["project"]["optional-dependencies"]
    server = [*mien, *extras["server"]]
    scale = [*server, *extras["scale"]]
    dev = [*scale, *build, *project["dependency-groups"]["dev"]]
    for lock, wanted in zip(LOCKS, ([*mien, *build], build, server, scale, dev), strict=True):
        pinned = pins(lock)
        for requirement in map(Requirement, wanted):
            assert requirement.name in pinned, f"run scripts/lock: {requirement} is not in requirements/{lock}.txt"
            assert pinned[requirement.name] in requirement.specifier, f"run scripts/lock: {requirement}"


def test_development_uses_what_users_use() -> None:
    run, _, server, scale, dev = map(pins, LOCKS)
    assert run.items() | server.items() | scale.items() <= dev.items()


def test_the_image_holds_what_users_use_and_nothing_that_builds() -> None:
    run, build, server, scale, _ = map(pins, LOCKS)
    builds = build.keys() - {"packaging"}  # which limits needs as well
    assert build.items() <= run.items()
    assert {name: version for name, version in run.items() if name not in builds}.items() <= server.items()
    assert server.items() <= scale.items() and not builds & scale.keys()
