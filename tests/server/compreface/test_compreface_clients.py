"""The published clients of CompreFace against `mien serve`, each of their public methods, and what Double Take and
Viseron send. scripts/clients installs the clients."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from filelock import FileLock

if TYPE_CHECKING:
    from conftest import Running

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
CLIENTS = ROOT / ".venv/clients"

Answers = dict[str, Any]


@pytest.fixture(scope="module")
def node() -> str:
    """The program that runs JavaScript; the clients are installed after this."""
    CLIENTS.mkdir(parents=True, exist_ok=True)
    with FileLock(CLIENTS / "lock"):
        run = subprocess.run(
            [ROOT / "scripts/clients"],
            env={**os.environ, "PYTHON": sys.executable},
            stdout=subprocess.PIPE,
            check=True,
            text=True,
        )
    return run.stdout.splitlines()[-1]


def answers(command: list[str], **given: Any) -> Answers:
    """What a client was answered, by call."""
    run = subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True, **given)
    said = [json.loads(line) for line in run.stdout.splitlines()]
    return {one["call"]: one["answer"] for one in said}


def python(running: Running, script: str, *pictures: Path) -> Answers:
    path = os.pathsep.join([str(CLIENTS / "python"), os.environ.get("PYTHONPATH", "")])
    command = [sys.executable, str(HERE / script), running.address, running.key, *map(str, pictures)]
    return answers(command, env={**os.environ, "PYTHONPATH": path})


def nearest(face: Any) -> tuple[str, bool]:
    first = face["subjects"][0]
    return first["subject"], first["similarity"] >= 0.6


def test_the_official_python_client(running: Running, node: str, pictures: tuple[Path, Path, Path]) -> None:
    ada, _, stranger = pictures
    found = python(running, "official.py", ada, stranger)
    assert found["subjects.add"] == {"subject": "Zoë"} and found["subjects.list"] == {"subjects": ["Zoë"]}
    assert found["subjects.update"] == {"updated": True}
    assert found["subjects.list again"] == {"subjects": ["Zoë & Co"]}
    assert found["subjects.delete"] == {"subject": "Zoë & Co"} and found["subjects.delete again"]["code"] == 42
    assert found["faces.add"]["subject"] == "Ada Lovelace" and found["faces.add bytes"]["subject"] == "Tom & Co"
    (face,) = found["recognize"]["result"]
    assert set(face) == {"box", "subjects"} and set(face["box"]) == {"probability", "x_max", "y_max", "x_min", "y_min"}
    (face,) = found["recognize options"]["result"]
    assert len(face["embedding"]) == 128 and len(face["landmarks"]) == 5 and len(face["subjects"]) == 2
    assert found["recognize stranger"]["result"][0]["subjects"][0]["similarity"] < 0.5
    assert {one["subject"] for one in found["faces.list"]["faces"]} == {"Ada Lovelace", "Tom & Co"}
    assert found["faces.list"]["total_elements"] == 2
    assert found["faces.verify"]["result"][0]["similarity"] > 0.9
    assert found["faces.delete"]["subject"] == "Tom & Co" and found["faces.delete again"]["code"] == 11
    assert found["faces.delete_all"] == {"deleted": 1}
    assert len(found["detect"]["result"]) == 1 and found["detect"]["plugins_versions"]["calculator"]
    assert found["verify"]["result"][0]["face_matches"][0]["similarity"] > 0.9
    assert found["wrong key"]["code"] == 10


def test_the_third_party_python_client(running: Running, node: str, pictures: tuple[Path, Path, Path]) -> None:
    found = python(running, "third_party.py", *pictures[:2])
    for kind in ("sync", "async"):
        name = f"Zoë {kind} & Co"
        assert found[f"{kind} add_a_subject"] == {"subject": name}
        assert found[f"{kind} rename_a_subject"] == {"updated": True}
        assert f"{name} 2" in found[f"{kind} list_all_subjects"]["subjects"]
        assert found[f"{kind} delete_a_subject"] == {"subject": f"{name} 2"}
        assert found[f"{kind} add_a_img"]["subject"] == found[f"{kind} add_a_img_by_64"]["subject"] == name
        listed = found[f"{kind} list_saved_img_subject"]
        assert listed["page_size"] == 10 and listed["total_elements"] == 2 == len(listed["faces"])
        assert nearest(found[f"{kind} recognize"]["result"][0]) == (name, True)
        assert set(found[f"{kind} recognize_by_64"]["result"][0]) == {"box", "landmarks", "subjects", "execution_time"}
        for method in ("verify", "verify_by_64"):
            result = found[f"{kind} {method}"]["result"][0]
            same = result["face_matches"][0] if "face_matches" in result else result
            assert same["similarity"] > 0.5
        assert found[f"{kind} download_a_img bytes"] is found[f"{kind} direct_download_img bytes"] is True
        assert found[f"{kind} delete_a_img"]["subject"] == name
        assert [one["subject"] for one in found[f"{kind} delete_multiple_img"]] == [name]
        assert found[f"{kind} delete_saved_img_by_subject"] == {"deleted": 0}
        assert len(found[f"{kind} detect"]["result"]) == len(found[f"{kind} detect_by_64"]["result"]) == 1
    assert found["async delete_all_subjects"] == {"deleted": 0}


def test_the_javascript_client(running: Running, node: str, pictures: tuple[Path, Path, Path]) -> None:
    command = [node, "--input-type=module", "-", running.address, running.key, *map(str, pictures[:2])]
    with (HERE / "javascript/drive.mjs").open() as script:
        found = answers(command, cwd=CLIENTS, stdin=script)
    assert found["subjects.add"] == {"subject": "Zoë & Co"} and found["subjects.list"] == {"subjects": ["Zoë & Co"]}
    assert (found["subjects.add again"]["status"], found["subjects.add again"]["code"]) == (400, 43)
    assert found["subjects.rename"] == {"updated": True} and found["subjects.delete"] == {"subject": "Zoë"}
    assert (found["subjects.delete a/b?c"]["status"], found["subjects.delete a/b?c"]["code"]) == (404, 42)
    assert found["faces.add"]["subject"] == found["faces.add base64"]["subject"] == "Ada", "a glued query"
    assert found["faces.add encoded"]["subject"] == "Tom & Co"
    assert found["faces.list"]["total_elements"] == 3
    assert found["faces.verify"]["result"][0]["similarity"] > 0.9 and "landmarks" in found["faces.verify"]["result"][0]
    assert len(found["recognize"]["result"][0]["subjects"]) == 1
    assert len(found["recognize base64"]["result"][0]["subjects"]) == 2
    assert found["recognize glued"]["plugins_versions"] and found["detect glued"]["plugins_versions"]
    assert (found["recognize buffer"]["status"], found["recognize buffer"]["code"]) == (400, 36)
    assert len(found["detect"]["result"]) == 1
    assert found["verify"]["result"][0]["face_matches"][0]["similarity"] > 0.9
    assert found["verify base64"]["result"][0]["face_matches"][0]["similarity"] > 0.5
    assert found["faces.delete"]["subject"] == "Tom & Co"
    assert [one["subject"] for one in found["faces.delete_multiple_images"]] == ["Ada", "Ada"]
    assert found["faces.delete_all_subject"] == {"deleted": 0} and found["faces.delete_all"] == {"deleted": 0}
    assert found["subjects.deleteAll"] == {"deleted": 0}


def test_what_double_take_sends(running: Running, pictures: tuple[Path, Path, Path], sample: Path) -> None:
    amara, second, stranger = pictures
    for photo in (amara, second):
        trained = running.ask("POST", "/recognition/faces?subject=amara", files={"file": photo.read_bytes()})
        assert trained.status_code == 201, "axios rejects what is not below 300"
    recognise = "/recognition/recognize?face_plugins=undefined&det_prob_threshold=0.8"
    known = running.ask("POST", recognise, files={"file": ("a.jpg", amara.read_bytes(), "image/jpeg")}).json()
    assert nearest(known["result"][0]) == ("amara", True)
    unknown = running.ask("POST", recognise, files={"file": stranger.read_bytes()}).json()
    assert unknown["result"][0]["subjects"][0]["similarity"] * 100 < 40
    empty = min((sample / "no-face").glob("*.jpg"))
    nobody = running.ask("POST", recognise, files={"file": empty.read_bytes()})
    assert (nobody.status_code, nobody.json()["code"]) == (400, 28)
    assert running.ask("DELETE", "/recognition/faces?subject=amara").json() == {"deleted": 2}


def test_what_viseron_sends(running: Running, pictures: tuple[Path, Path, Path]) -> None:
    amara, second, stranger = pictures
    query = "?&limit=0&det_prob_threshold=0.8&prediction_count=1&status=False"
    for _ in range(2):  # at each of its starts
        running.ask("DELETE", "/recognition/faces?subject=amara")
        for photo in (amara, second):
            added = running.ask("POST", "/recognition/faces?subject=amara", files={"file": photo.read_bytes()}).json()
            assert "message" not in added
    for photo, known in ((amara, True), (stranger, False)):
        found = running.ask("POST", f"/recognition/recognize{query}", files={"file": ("image.jpg", photo.read_bytes())})
        first = found.json()["result"][0]["subjects"][0]  # without a look whether there is one
        assert (first["similarity"] >= 0.5) is known and first["subject"] == "amara"
