"""The files that containers are made from and started by, as far as they can be held to account without a container;
scripts/test-image builds one and runs it."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import sysconfig
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from mien.settings import template

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sysconfig.get_path("scripts"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")

FAKE_MIEN = """#!/bin/sh
printf '%s\\n' "$*" >> "$LOG"
if [ "$1" = init ]; then printf '# basis\n\n# [server]\n# port = 8000\n' > "$2/mien.toml"; fi
"""


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile's, each with what follows it, on one line."""
    lines = [line for line in DOCKERFILE.splitlines() if line and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ").splitlines()
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in joined)]


def stages() -> dict[str, dict[str, str]]:
    """The Dockerfile's stages by name: the last of each instruction in them, and `FROM`, what they stand on."""
    found: dict[str, dict[str, str]] = {}
    for word, rest in instructions():
        if word == "FROM":
            base, name = rest.split(" AS ")
            found[name] = {"FROM": base}
        elif found:
            found[list(found)[-1]][word] = rest
    return found


@pytest.fixture(scope="module")
def compose() -> Any:
    return yaml.safe_load((ROOT / "compose.yaml").read_text("utf-8"))


@pytest.mark.skipif(sys.platform == "win32", reason="hadolint's wheels are for Linux and macOS")
def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([TOOLS / "hadolint", ROOT / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_every_command_of_2017_has_an_image_of_its_originals_name() -> None:
    commands = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["scripts"]
    of_2017 = {name.removeprefix("mien-"): name for name in commands if name.startswith("mien-")}
    made = {name: stage["ENTRYPOINT"] for name, stage in stages().items() if stage["FROM"] == "of-2017"}
    assert made == {name: json.dumps([command]) for name, command in of_2017.items()}
    assert list(stages())[-1] == "mien", "the last is what is built where none is named"


def test_the_image_is_nobodys_and_builds_nothing() -> None:
    run = stages()["run"]
    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", run["USER"]), "by number, so that Kubernetes sees that it is not root"
    assert "pip install" not in run.get("RUN", "")
    assert all(not {"apt-get", "apk", "curl", "wget"} & set(rest.split()) for _, rest in instructions())
    steps = [step for word, rest in instructions() if word == "RUN" for step in rest.split("&&")]
    from_lock = [" ".join(step.split()) for step in steps if re.search(r'-r "?requirements/', step)]
    assert len(from_lock) == 2 and all("--require-hashes --only-binary :all:" in step for step in from_lock)


def test_signals_reach_mien() -> None:
    started = [rest for word, rest in instructions() if word == "ENTRYPOINT"]
    assert len(started) == 7 and all(json.loads(one) for one in started), "each in the form that no shell reads"
    assert "exec mien -C" in (ROOT / "containers/start").read_text("utf-8")


def test_what_the_image_is_built_from_is_let_in_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    everything, *rest = (line for line in lines if line and not line.startswith("#"))
    let_in = {line[1:] for line in rest if line.startswith("!")}
    copied = {
        file
        for word, arguments in instructions()
        if word == "COPY" and "--from" not in arguments
        for file in shlex.split(arguments)[:-1]
    }
    assert everything == "*" and let_in == copied
    assert all((ROOT / file).exists() for file in copied)


class Started:
    """containers/start with a mien that only writes down what it is asked to do."""

    def __init__(self, folder: Path) -> None:
        self.album, self.log = folder / "an album", folder / "log"
        self.album.mkdir()
        mien = folder / "mien"
        mien.write_text(FAKE_MIEN)
        mien.chmod(0o755)
        self.environment = {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "LOG": str(self.log)}

    def __call__(self, *arguments: str, **environment: str) -> list[str]:
        self.log.write_text("")
        command = [str(ROOT / "containers/start"), *arguments]
        subprocess.run(command, cwd=self.album, env={**self.environment, **environment}, check=True)
        return self.log.read_text().splitlines()


@pytest.fixture
def start(tmp_path: Path) -> Started:
    if sys.platform == "win32":
        pytest.skip("containers/start is a shell script")
    return Started(tmp_path)


def test_a_container_makes_its_album_once_and_serves_it(start: Started) -> None:
    serve = f"-C {start.album} serve --host 0.0.0.0 --port 8000"
    assert start() == [f"init {start.album} --basis personal", serve]
    assert start() == [serve]


def test_a_new_album_gets_the_basis_that_is_named(start: Started) -> None:
    assert start(MIEN_BASIS="consent, forms in the office")[0].endswith("--basis consent, forms in the office")


def test_a_new_album_believes_the_proxy_that_is_named(start: Started) -> None:
    file = start.album / "mien.toml"
    start(MIEN_PROXY="10.1.2.3")
    assert file.read_text() == '# basis\n\n[server]\ntrusted_proxies = ["10.1.2.3"]\n# port = 8000\n'
    start(MIEN_PROXY="10.1.2.4")
    assert tomllib.loads(file.read_text()) == {"server": {"trusted_proxies": ["10.1.2.3"]}}, "what is there is kept"
    assert re.search(r"^# \[server\]$", template("personal"), re.MULTILINE), "the line that is replaced"


def test_a_command_is_run_as_it_is_typed(start: Started) -> None:
    assert start("classify", "--json", "a b.jpg") == ["classify --json a b.jpg"]
    assert start("--version") == ["--version"], "and no album is made for it"


def test_the_compose_file_is_one() -> None:
    check = [str(TOOLS / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec", str(ROOT / "compose.yaml")]
    done = subprocess.run(check, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_service_is_locked_in(compose: Mapping[str, Any]) -> None:
    assert set(compose["services"]) == {"serve", "daily", "cli", "proxy"}
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["mem_limit"] and service["tmpfs"], name
        assert "privileged" not in service and "network_mode" not in service, name


def test_only_the_proxy_listens_to_everybody(compose: Mapping[str, Any]) -> None:
    services = compose["services"]
    assert services["serve"]["ports"] == ["${MIEN_LISTEN:-127.0.0.1:8000}:8000"]
    assert services["proxy"]["profiles"] == ["proxy"] and services["proxy"]["cap_add"] == ["NET_BIND_SERVICE"]
    assert not services["daily"].get("ports") and not services["cli"].get("ports")


def test_the_server_believes_the_proxy_and_nobody_else(compose: Mapping[str, Any]) -> None:
    serve, proxy = compose["services"]["serve"], compose["services"]["proxy"]
    address = proxy["networks"]["inside"]["ipv4_address"]
    assert serve["environment"]["MIEN_PROXY"] == address != serve["networks"]["inside"]["ipv4_address"]
    assert set(serve["environment"]) > set(compose["services"]["cli"]["environment"])
    assert compose["networks"]["inside"]["internal"] is True, "nobody else is in it"
    assert all("inside" not in compose["services"][name]["networks"] for name in ("daily", "cli"))
    caddy = (ROOT / "containers/Caddyfile").read_text("utf-8")
    (alias,) = serve["networks"]["inside"]["aliases"]
    assert f"reverse_proxy {alias}:8000" in caddy, "the name that leads there by way of this network"
    assert "respond /metrics* 404" in caddy


def test_the_daily_run_shares_the_album_and_has_no_health_to_ask_for(compose: Mapping[str, Any]) -> None:
    serve, daily = compose["services"]["serve"], compose["services"]["daily"]
    assert serve["volumes"] == daily["volumes"] == ["album:/album"]
    assert daily["command"][0] == "schedule" and daily["healthcheck"] == {"disable": True}
    assert set(compose["volumes"]) == {"album", "certificates", "proxy-config"}
