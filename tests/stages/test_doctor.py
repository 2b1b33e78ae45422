"""doctor: each part of an album's set-up is looked at by itself, also where others are broken."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from mien import wiring
from mien.records import trying as trying_server
from mien.records.postgres import album_held
from mien.servers import Server
from mien.settings import load
from mien.stages import doctor as stage
from mien.stages.doctor import Check, Checkup, doctor
from mien.storage.layout import Layout
from mien.storage.trying import FOLDER, try_bucket
from mien.text.doctor import DoctorKind, Part, State
from mien.text.urls import told, without_secrets

if TYPE_CHECKING:
    from conftest import Painted


def of(checkup: Checkup, part: Part) -> list[DoctorKind]:
    return [check.kind for check in checkup.checks if check.part is part]


def look(painted: Painted, seconds: float = 30.0) -> Checkup:
    return doctor(
        painted.folder, lambda: wiring.tools(painted.eyes), lambda: datetime.now().astimezone(), seconds=seconds
    )


def files(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_of_a_sound_album_all_is_well_and_nothing_is_changed(taught: Painted) -> None:
    taught.open().add_key("desk", "admin")
    before = files(taught.folder)
    found = taught.open().doctor()
    assert [check.state for check in found.checks] == [State.OK] * len(found.checks), found
    assert {check.part for check in found.checks} == set(Part) - {Part.CLOCK}
    assert found.exit_code == 0 and files(taught.folder) == before


def test_each_part_of_a_broken_album_is_told_by_itself(three_people: Painted) -> None:
    album = three_people.folder
    three_people.open().train()
    version = three_people.open().version
    assert version
    (album / "models" / version / "model.onnx").write_bytes(b"no model")
    (album / ".mien/catalog.sqlite").write_bytes(b"no database" * 100)
    (album / ".mien/lock.json").write_text(
        json.dumps({"pid": 2**22 + 1, "host": socket.gethostname(), "command": "train", "since": "today"})
    )
    found = look(three_people)
    assert of(found, Part.CATALOG) == of(found, Part.MODELS) == [DoctorKind.FAILED]
    assert of(found, Part.RUNS) == [DoctorKind.KILLED]
    assert of(found, Part.KEYS) == [DoctorKind.NO_KEYS] and of(found, Part.PHOTOS) == [DoctorKind.IN_FOLDER]
    assert found.exit_code == 14
    assert all(check.remedy for check in found.checks if check.state is not State.OK)


def test_settings_that_cannot_be_read_cost_what_goes_by_them(painted: Painted, mien: Callable[..., Any]) -> None:
    (painted.folder / "mien.toml").write_text("views = seven\n")
    said = mien("-C", painted.folder, "doctor", "--json")
    found = {check["part"]: check for check in json.loads(said.stdout)["checks"]}
    assert set(found) == {"mien", "album", "settings"} and found["settings"]["state"] == "problem"
    assert said.exit_code == 14 and found["album"]["state"] == "ok"
    nowhere = mien("-C", painted.folder / "nowhere", "doctor")
    assert nowhere.exit_code == 14 and "is not an album" in nowhere.stdout


def test_what_hangs_and_what_breaks_costs_no_other_its_answer() -> None:
    for_ever = threading.Event()

    def hangs() -> Iterator[Check]:
        for_ever.wait()
        yield from ()

    def breaks() -> Iterator[Check]:
        raise ZeroDivisionError

    found = stage._all([(Part.ENGINE, hangs), (Part.KEYS, breaks), (Part.MIEN, stage._mien)], 0.1)
    for_ever.set()
    assert [check.kind for check in found] == [DoctorKind.SLOW, DoctorKind.UNFORESEEN, DoctorKind.VERSIONS]
    assert found[1].figures == {"error": "ZeroDivisionError"}


def test_where_nothing_may_be_written_it_says_so(three_people: Painted, bound: None) -> None:
    three_people.open().align()
    (three_people.folder / ".mien").chmod(0o500)
    try:
        assert of(look(three_people), Part.ALBUM) == [DoctorKind.FOLDER, DoctorKind.READ_ONLY]
    finally:
        (three_people.folder / ".mien").chmod(0o700)


def test_every_kind_can_say_itself_and_what_to_do() -> None:
    figures = dict.fromkeys(("people", "rows", "workers", "threads", "keys", "good", "seconds", "milliseconds"), 3)
    texts = (
        "said remedy error mien python system folder free file extras about module package name precision url bytes"
        " version least schemas memory resources versions command since holder"
    )
    for kind in DoctorKind:
        check = Check(Part.MIEN, kind, {**dict.fromkeys(texts.split(), "x"), **figures})
        assert check.why and (check.state is State.OK) == (not check.remedy)
        assert check.to_json()["state"] == check.state


# What is elsewhere


def test_a_bucket_is_written_listed_read_and_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import fsspec

    url = "memory://bucket/prefix"
    store = fsspec.filesystem("memory")
    store.pipe_file("/bucket/prefix/Ada/1.jpg", b"Ada")
    assert [check.kind for check in stage._bucket(Part.PHOTOS, url)] == [DoctorKind.BUCKET]
    assert store.find("/bucket/prefix") == ["/bucket/prefix/Ada/1.jpg"]

    refused = {"pipe_file": "writing", "cat_file": "reading", "rm_file": "deleting"}
    for verb, what in refused.items():
        with monkeypatch.context() as patch:

            def refuse(*_: Any, **__: Any) -> None:
                raise PermissionError(13, "secret-of-a-library")

            patch.setattr(type(store), verb, refuse)
            tried = try_bucket(url)
            assert getattr(tried, what).startswith("PermissionError 13"), (verb, tried)
            assert "secret" not in repr(tried)
    with monkeypatch.context() as patch:
        patch.setattr(type(store), "ls", lambda *_, **__: [])
        assert [check.kind for check in stage._bucket(Part.PHOTOS, url)] == [DoctorKind.LISTS_LATE]
    store.rm("/bucket", recursive=True)
    assert FOLDER.startswith(".mien/")


@pytest.mark.parametrize(
    ("url", "package"), [("s3://club/x", "mien[s3]"), ("gs://club/x", "gcsfs"), ("az://club/x", "adlfs")]
)
def test_a_bucket_whose_package_is_missing(
    painted: Painted, monkeypatch: pytest.MonkeyPatch, url: str, package: str
) -> None:
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'photos = "{url}"\n')
    settings = load(painted.folder, {})
    layout = Layout.of(painted.folder, settings)
    with monkeypatch.context() as bare:
        bare.setattr("importlib.util.find_spec", lambda _: None)
        (check,) = stage._extras(layout, settings)
    assert (check.kind, check.figures["package"]) == (DoctorKind.NO_EXTRA, package), "mien has no extra for the others"


def test_a_server_that_is_not_there_is_told_without_its_password() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # and nobody listens there
        url = f"postgresql://ada:s3cret%21@127.0.0.1:{nobody.getsockname()[1]}/faces"
        (check,) = stage._all([(Part.CATALOG, lambda: stage._server(url, 20.0))], 30.0)
    assert check.kind is DoctorKind.FAILED and check.state is State.PROBLEM
    assert "127.0.0.1" in check.why and "s3cret" not in json.dumps(check.to_json())


def test_who_is_at_work_in_an_album_on_a_server_is_asked_there(album_server: Server, tmp_path: Path) -> None:
    (tmp_path / "mien.toml").write_text(f'catalog = "{album_server.url}"\n')
    album: Any = SimpleNamespace(layout=Layout.of(tmp_path, load(tmp_path, {})))
    with album_held(album_server, "/club", "train"):
        (check,) = stage._runs(album)
    assert check.kind is DoctorKind.HELD and check.state is State.OK
    assert f'"train" (process {os.getpid()} on {socket.gethostname()}), since 2' in check.why
    assert [check.kind for check in stage._runs(album)] == [DoctorKind.QUIET]


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ({}, [DoctorKind.SERVER, DoctorKind.SAME_TIME]),
        ({"schemas": ()}, [DoctorKind.NEW_SERVER, DoctorKind.SAME_TIME]),
        ({"schemas": (), "may_create": False}, [DoctorKind.NO_SCHEMAS, DoctorKind.NEW_SERVER, DoctorKind.SAME_TIME]),
        ({"refused": ("mien_ledger",)}, [DoctorKind.NO_RIGHTS, DoctorKind.SERVER, DoctorKind.SAME_TIME]),
        ({"version": "9.6.2"}, [DoctorKind.OLD_SERVER, DoctorKind.SERVER, DoctorKind.SAME_TIME]),
        ({"is_standby": True}, [DoctorKind.STANDBY, DoctorKind.SERVER, DoctorKind.SAME_TIME]),
        ({"is_encrypted": False, "is_local": False}, [DoctorKind.NO_TLS, DoctorKind.SERVER, DoctorKind.SAME_TIME]),
        ({"ahead": 60.0}, [DoctorKind.SERVER, DoctorKind.AHEAD]),
        ({"ahead": -60.0}, [DoctorKind.SERVER, DoctorKind.BEHIND]),
    ],
)
def test_what_is_said_of_a_server(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, Any], kinds: list[DoctorKind]
) -> None:
    tried: dict[str, Any] = {
        "version": "15.14",
        "milliseconds": 0.4,
        "schemas": trying_server.SCHEMAS,
        "refused": (),
        "may_create": True,
        "is_standby": False,
        "is_encrypted": True,
        "is_local": False,
        "ahead": 0.1,
    }
    monkeypatch.setattr(trying_server, "try_server", lambda *_: trying_server.Tried(**(tried | given)))
    found = list(stage._server("postgresql://ada:s3cret@db/faces", 1.0))
    assert [check.kind for check in found] == kinds
    assert not any("s3cret" in check.why + check.remedy for check in found)


def test_a_scheduler_that_is_not_there_is_a_problem() -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{nobody.getsockname()[1]}"
        settings: Any = SimpleNamespace(engine="dask", scheduler=address)
        (check,) = stage._all([(Part.ENGINE, lambda: stage._engine(settings, 2.0))], 30.0)
    assert (check.kind, check.state) == (DoctorKind.FAILED, State.PROBLEM)
    assert f"The scheduler {address} cannot be reached" in check.why and "Start it" in check.remedy


def test_an_address_that_dask_does_not_know_is_a_problem_of_the_settings() -> None:
    settings: Any = SimpleNamespace(engine="dask", scheduler="carrier-pigeon://loft:1")
    (check,) = stage._all([(Part.ENGINE, lambda: stage._engine(settings, 2.0))], 30.0)
    assert check.kind is DoctorKind.FAILED and "carrier-pigeon://loft:1 cannot be reached" in check.why


def test_what_the_workers_of_a_scheduler_are(monkeypatch: pytest.MonkeyPatch) -> None:
    from distributed import LocalCluster

    with LocalCluster(
        n_workers=1, threads_per_worker=2, processes=False, dashboard_address=":0", resources={"GPU": 1}
    ) as cluster:
        settings: Any = SimpleNamespace(engine="dask", scheduler=cluster.scheduler_address, resources="GPU=1")
        (check,) = stage._engine(settings, 20.0)
        assert check.kind is DoctorKind.WORKERS and check.figures["threads"] == 2 and "GPU=1" in check.why
        settings.resources = "FPGA=1"
        monkeypatch.setattr(stage, "version_of", lambda _: "9.9")
        kinds = [check.kind for check in stage._engine(settings, 20.0)]
        assert kinds == [DoctorKind.OTHER_MIEN, DoctorKind.LACKS, DoctorKind.WORKERS]


def test_no_part_of_a_url_that_may_be_secret_is_told() -> None:
    assert told("postgresql://ada:pass@db:5433/faces?password=other#x") == "postgresql://db:5433/faces"
    assert told("http://[broken") == "http://..."
    url = "postgresql://ada:s%21@db/faces"
    assert without_secrets(f"no {url}, s! or s%21", url) == "no postgresql://db/faces, ... or ..."
    assert without_secrets("of s%21zz or s!zz", "postgresql://a:s@db/x?sslpassword=s%21zz") == "of ... or ..."
