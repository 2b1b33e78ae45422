"""A version's folder: written whole or not at all, and believed in nothing when it is read back."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.errors import AlbumError, DamagedModelError, EncoderMismatchError, MienError, ModelError, StorageError
from mien.learning.figures import Share, wilson
from mien.learning.openset import Calibration
from mien.registry import folder as room
from mien.registry import versions
from mien.registry.card import Card, FalseAlarms, FileCard, HeadCard, json_bytes, sealed, worst_first
from mien.registry.folder import Draft, load_card, load_model, packed
from mien.registry.graph import head_graph
from mien.storage import files

Write = Callable[..., str]
MODEL = ("model.onnx", "labels.txt", "thresholds.json", "card.json")
NEEDS_LINKS = pytest.mark.skipif(os.name == "nt", reason="Windows lets few users make links")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def write(draft: Callable[..., Draft]) -> Write:
    """write(models, ("Ann", "Bo")) writes a version with a page and returns its name."""

    def make(models: Path, *people: tuple[str, ...], **other: Any) -> str:
        return versions.write(models, draft(*people, **other), lambda version: f"<html>{version}".encode())

    return make


@pytest.fixture
def folder(models: Path, write: Write) -> Path:
    """That of a version."""
    return models / write(models)


def reseal(folder: Path, card: dict[str, Any]) -> None:
    """Writes this card with its seal, as mien would."""
    card["run"]["seal"] = ""
    bare = (json.dumps(card, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    card["run"]["seal"] = hashlib.sha256(bare).hexdigest()
    (folder / "card.json").write_text(
        json.dumps(card, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
    )


# Writing and reading back


def test_what_was_written_is_what_is_loaded(models: Path, draft: Callable[..., Draft]) -> None:
    written = draft(counts={"photos": 3})
    model = load_model(models / versions.write(models, written))
    assert model.version == "2026-11-23-001"
    assert model.people == model.head.people == ("Ann", "José", "李小龙")
    assert (model.threshold, model.calibration, model.fpir) == (written.threshold, Calibration(250.0, 0.004), 0.01)
    assert model.encoder_id == "resnet-fp32-v4"
    assert model.card.photos == {"Ann": ["1" * 64, "2" * 64], "José": ["3" * 64]}
    assert model.card.head == HeadCard(name="prototypes", tried={"prototypes": 0.031, "nearest": 0.03})
    assert (model.card.counts, model.card.metrics) == ({"photos": 3}, {"top1": 1.0})
    assert model.card.packages["numpy"] == np.__version__
    faces = draft(("Ann", "Bo", "Cy", "Di", "Eve")).head.vectors
    np.testing.assert_allclose(model.head.scores(faces), faces @ written.head.vectors.T, atol=1e-6)


def test_a_share_on_a_card_has_the_interval_that_training_stated(models: Path, draft: Callable[..., Draft]) -> None:
    counts = {"top1_hits": 6, "top1_of": 10, "fpir_hits": 1, "fpir_of": 10}
    metrics = {"top1": 0.6, "top1_low": 0.1, "top1_high": 0.95, "fpir": 0.1}
    card = load_card(models / versions.write(models, draft(counts=counts, metrics=metrics)))
    assert (card.share("top1"), card.share("top1").interval) == (Share(6, 10), (0.1, 0.95))
    assert card.share("fpir").interval == wilson(1, 10), "a model from before the intervals were drawn"
    assert card.share("tpir") == Share(0, 0)


def test_false_alarms_are_kept_by_person(models: Path, draft: Callable[..., Draft]) -> None:
    some = {
        "Jose\u0301": FalseAlarms(masked=1, bystanders=4),
        "Bo": FalseAlarms(masked=2, bystanders=0),
        "Ann": FalseAlarms(masked=1, bystanders=4),
        "Cy": FalseAlarms(masked=1, bystanders=5),
    }
    card = load_card(models / versions.write(models, draft(false_alarms=some)))
    assert [person for person, _ in worst_first(card.false_alarms)] == ["Bo", "Cy", "Ann", "Jos\u00e9"]
    assert card.false_alarms["Jos\u00e9"] == FalseAlarms(masked=1, bystanders=4)


def test_a_card_from_before_false_alarms_were_counted_has_none(folder: Path) -> None:
    card = json.loads((folder / "card.json").read_bytes())
    del card["false_alarms"]
    reseal(folder, card)
    assert load_model(folder).card.false_alarms == {}


def test_a_folder_moved_elsewhere_still_loads_and_other_files_in_it_do_not_matter(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.pkl").write_bytes(b"cos\nsystem\n.")
    (folder / "report.html").unlink()
    moved = folder.rename(tmp_path / "moved")
    assert load_model(moved).version == folder.name


def test_the_page_is_told_the_name_of_the_version(folder: Path) -> None:
    assert (folder / "report.html").read_text() == f"<html>{folder.name}"
    assert {file.name for file in folder.iterdir()} == {*MODEL, "report.html"}


def test_a_version_may_have_no_page(models: Path, draft: Callable[..., Draft]) -> None:
    folder = models / versions.write(models, draft())
    assert {file.name for file in folder.iterdir()} == {*MODEL}


def test_names_are_kept_in_nfc(models: Path, write: Write) -> None:
    assert load_model(models / write(models, ("Ann", "Jose\u0301", "Bo"))).people[1] == "Jos\u00e9"


@pytest.mark.parametrize("name", ["two\nlines", "tricky\u2028line", "", "half\ud800"])
def test_a_name_that_is_no_line_of_text_is_refused(models: Path, write: Write, name: str) -> None:
    with pytest.raises(AlbumError, match="not one line of text"):
        write(models, ("Ann", name, "Bo"))
    assert versions.names(models) == []


def test_two_people_of_one_name_are_refused(models: Path, write: Write) -> None:
    with pytest.raises(AlbumError, match="Two people are called José"):
        write(models, ("Jose\u0301", "Jos\u00e9", "Bo"))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_card_never_holds_a_number_that_is_none(models: Path, write: Write, number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        write(models, metrics={"top1": number})
    assert list(models.iterdir()) == []


def test_the_same_album_gives_the_same_files_but_for_the_run(draft: Callable[..., Draft]) -> None:
    counts = {"photos": 3}
    card, files = packed(draft(counts=counts), "2026-11-23-001")
    other, same = packed(draft(counts=counts, created=datetime(2027, 1, 2, 3, 4, tzinfo=UTC)), "2027-01-02-001")
    assert {name for name in files if files[name] != same[name]} == {"card.json"}
    assert card.run != other.run and card == other.model_copy(update={"run": card.run})


def test_an_encoder_that_did_not_make_the_model_is_refused(folder: Path) -> None:
    model = load_model(folder)
    model.require_encoder("resnet-fp32-v4")
    with pytest.raises(EncoderMismatchError, match=r"resnet-fp32-v4.*resnet-int8-v4"):
        model.require_encoder("resnet-int8-v4")


# Damage


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at % len(data)] ^= 1 << (at % 8)
    file.write_bytes(data)


def refused(folder: Path, file: str, match: str | None = None) -> None:
    with pytest.raises(DamagedModelError, match=match) as caught:
        load_model(folder)
    assert str(folder / file) in caught.value.message
    assert "mien train" in caught.value.remedy


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="nowhere holds no model") as caught:
        load_model(tmp_path / "nowhere")
    assert not isinstance(caught.value, DamagedModelError)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(file=st.sampled_from(MODEL), at=st.integers(0, 2**20))
def test_a_changed_bit_anywhere_is_found(folder: Path, file: str, at: int) -> None:
    before = (folder / file).read_bytes()
    flip(folder / file, at)
    try:
        refused(folder, file)
    finally:
        (folder / file).write_bytes(before)


@pytest.mark.parametrize("file", MODEL)
@pytest.mark.parametrize(
    "change", ["missing", "empty", "shorter", "longer", "folder", pytest.param("link", marks=NEEDS_LINKS)]
)
def test_a_file_that_is_not_as_it_was_is_found(folder: Path, file: str, change: str, tmp_path: Path) -> None:
    path = folder / file
    data = path.read_bytes()
    path.unlink()
    if change == "folder":
        path.mkdir()
    elif change == "link":
        (tmp_path / "elsewhere").write_bytes(data)  # the right bytes, but not in the model
        path.symlink_to(tmp_path / "elsewhere")
    elif change != "missing":
        path.write_bytes({"empty": b"", "shorter": data[:-1], "longer": data + b"\n"}[change])
    refused(folder, file)


@pytest.mark.parametrize("file", MODEL)
def test_an_oversized_file_is_not_read(folder: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(room.LARGEST, file, 10)
    refused(folder, file, "too many")


def test_a_pipe_is_not_waited_for(folder: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("no pipes in this system's folders")
    (folder / "labels.txt").unlink()
    os.mkfifo(folder / "labels.txt")
    refused(folder, "labels.txt", "plain file")


# Forgery: whoever sealed the card anew still gets nothing in that is not a model


def forge(folder: Path, file: str, data: bytes, people: int | None = None) -> None:
    """Puts `data` in and makes every size, hash and the seal right."""
    (folder / file).write_bytes(data)
    card = Card.model_validate_json((folder / "card.json").read_bytes())
    entry = FileCard(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    card = card.model_copy(update={"files": {**card.files, file: entry}, "people": people or card.people})
    (folder / "card.json").write_bytes(json_bytes(sealed(card)))


@pytest.mark.parametrize(
    "labels",
    [
        b"Ann\nBo\n",  # one too few
        b"Ann\nBo\nCy",  # the last line is open
        b"Ann\n\nCy\n",
        b"Ann\nAnn\nCy\n",
        b"Ann\r\nBo\r\nCy\r\n",
        b"Ann\nJose\xcc\x81\nCy\n",  # not NFC
        b"Ann\n\xff\nCy\n",
        b"Ann\n\xed\xa0\x80\nCy\n",  # a surrogate
    ],
)
def test_forged_labels(folder: Path, labels: bytes) -> None:
    forge(folder, "labels.txt", labels)
    refused(folder, "labels.txt")


def test_labels_of_an_older_version_are_read_in_the_form_in_which_names_are_compared(folder: Path) -> None:
    forge(folder, "labels.txt", "Ann\nBo\u200b \nCy\n".encode())
    assert load_model(folder).people == ("Ann", "Bo", "Cy")
    forge(folder, "labels.txt", "Ann\nAnn\u200b\nCy\n".encode())
    assert load_model(folder).people == ("Ann", "Ann\u200b", "Cy"), "two of them are one person now"


def test_labels_must_fit_the_network(folder: Path) -> None:
    forge(folder, "labels.txt", b"Ann\nBo\nCy\nDi\n", people=4)
    refused(folder, "model.onnx", "does not score 4 people")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"slope": 250.0', b'"slope": 0'),
        (b'"slope": 250.0', b'"slope": NaN'),
        (b'"slope": 250.0', b'"slope": 1e999'),
        (b'"slope": 250.0', b'"slope": "250"'),
        (b'"slope": 250.0', b'"slope": true'),
        (b'"slope": 250.0', b'"slope": 250.0, "more": 1'),
        (b'"temperature": 0.004', b'"temperature": -1'),
        (b'"fpir": 0.01', b'"fpir": null'),
        (b'"people": 3', b'"people": 3.5'),
        (b'"calibration"', b'"something"'),
        (b"{", b"[" * 100_000 + b"{"),
        (b"{", b""),
        (b"{", b"\xff{"),
    ],
)
def test_forged_thresholds(folder: Path, old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(room.LARGEST, "thresholds.json", 1 << 20)
    data = (folder / "thresholds.json").read_bytes()
    assert old in data
    forge(folder, "thresholds.json", data.replace(old, new, 1))
    refused(folder, "thresholds.json")


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card.update(format=2),
        lambda card: card.update(people=0),
        lambda card: card.update(more=1),
        lambda card: card.pop("photos"),
        lambda card: card["files"].pop("labels.txt"),
        lambda card: card["files"].update({"../../secret": card["files"]["labels.txt"]}),
        lambda card: card["files"]["labels.txt"].update(bytes="12"),
        lambda card: card["encoder"].update(id=""),
        lambda card: card["run"].update(version="../../x"),
        lambda card: card["photos"].update(Ann=["x"]),
        lambda card: card["metrics"].update(top1=None),
        lambda card: card["metrics"].update(top1=10**400),
        lambda card: card["counts"].update(photos=10**400),
        lambda card: card["counts"].update(photos=10**4200),
        lambda card: card["false_alarms"].update(Ann={"masked": -1, "bystanders": 0}),
        lambda card: card["false_alarms"].update(Ann={"masked": 1}),
    ],
)
def test_forged_cards(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    card = json.loads((folder / "card.json").read_bytes())
    change(card)
    reseal(folder, card)
    refused(folder, "card.json")


def network(nodes: Sequence[Any] = (), weights: Sequence[Any] = (), outside: str | None = None) -> bytes:
    """A network for three people, with further `nodes` before its scores, if any, which read "s"; `outside` keeps its
    weights in that file, as ONNX allows."""
    made = onnx.numpy_helper.from_array(np.ones((128, 3), np.float32), "w")
    if outside:
        made.ClearField("raw_data")
        made.data_location = onnx.TensorProto.EXTERNAL
        entry = made.external_data.add()
        entry.key, entry.value = "location", outside
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node("MatMul", ["embedding", "w"], ["s" if nodes else "scores"]), *nodes],
        "g",
        [onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["N", 128])],
        [onnx.helper.make_tensor_value_info("scores", onnx.TensorProto.FLOAT, ["N", 3])],
        [made, *weights],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


def endless() -> bytes:
    """A network with a loop that goes round 2^62 times."""
    info, kinds = onnx.helper.make_tensor_value_info, onnx.TensorProto
    body = onnx.helper.make_graph(
        [onnx.helper.make_node("Identity", ["c"], ["d"]), onnx.helper.make_node("Add", ["x", "x"], ["y"])],
        "body",
        [info("i", kinds.INT64, []), info("c", kinds.BOOL, []), info("x", kinds.FLOAT, [1])],
        [info("d", kinds.BOOL, []), info("y", kinds.FLOAT, [1])],
    )
    values: dict[str, Any] = {"n": np.array(2**62, np.int64), "t": np.array(True), "z": np.zeros(1, np.float32)}
    return network(
        [
            onnx.helper.make_node("Loop", ["n", "t", "z"], ["l"], body=body),
            onnx.helper.make_node("Add", ["s", "l"], ["scores"]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in values.items()],
    )


def vast(operator: str, *inputs: str) -> bytes:
    """A network in which an operator makes 60 GB, of which one number goes into the scores."""
    values: dict[str, Any] = {
        "e": np.array([1 << 34], np.int64),
        "one": np.ones(1, np.float32),
        "zero": np.zeros(1, np.int64),
    }
    return network(
        [
            onnx.helper.make_node(operator, list(inputs), ["v"]),
            onnx.helper.make_node("Gather", ["v", "zero"], ["g"]),
            onnx.helper.make_node("Add", ["s", "g"], ["scores"]),
        ],
        [onnx.numpy_helper.from_array(value, name) for name, value in values.items()],
    )


@pytest.mark.parametrize(
    "data",
    [
        endless(),
        vast("ConstantOfShape", "e"),
        vast("Expand", "one", "e"),
        vast("Tile", "one", "e"),
        network(),  # harmless, and still none that mien writes
        b"",
        b"no network",
        b"\x18\0\0\0ORTM" + bytes(64),
        network()[:-20],
    ],
    ids=["loop", "shape", "expand", "tile", "plain", "empty", "junk", "ortm", "cut"],
)
def test_a_network_that_mien_did_not_write_is_never_run(
    folder: Path, data: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(room, "open_session", lambda data: pytest.fail("it was opened"))
    forge(folder, "model.onnx", data)
    refused(folder, "model.onnx", "not a head that mien wrote")


@pytest.mark.parametrize("outside", ["secret.bin", "../secret.bin", "/etc/passwd"])
def test_a_network_cannot_read_other_files(
    folder: Path, outside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for place in (here, tmp_path, folder):
        (place / "secret.bin").write_bytes(np.ones((128, 3), np.float32).tobytes())
    monkeypatch.chdir(here)  # ONNX Runtime alone would read here/secret.bin
    forge(folder, "model.onnx", network(outside=outside))
    refused(folder, "model.onnx", "not a head that mien wrote")


def test_a_head_of_embeddings_that_its_encoder_does_not_make_is_refused(
    folder: Path, draft: Callable[..., Draft]
) -> None:
    short = replace(draft().head, vectors=np.eye(3, 7, dtype=np.float32), exemplars=np.empty((0, 7), np.float32))
    forge(folder, "model.onnx", head_graph(short))
    model = load_model(folder)
    model.require_encoder("resnet-fp32-v4", dimensions=7)
    with pytest.raises(DamagedModelError, match="takes embeddings of 7 numbers, where its encoder makes 128"):
        model.require_encoder("resnet-fp32-v4", dimensions=128)


@pytest.mark.parametrize("name", ["card.json", "report.html"])
def test_a_write_that_fails_inside_the_helper_leaves_no_version(
    models: Path, write: Write, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(path: Path, data: bytes) -> None:
        if path.name == name:
            raise StorageError(str(path), "is full", "Free some space.")
        files.write_atomically(path, data)

    monkeypatch.setattr(room, "write_atomically", fail)
    with pytest.raises(MienError, match="full"):
        write(models)
    assert list(models.iterdir()) == []


# Cards alone


def test_a_card_is_read_without_the_rest(folder: Path) -> None:
    card = load_model(folder).card
    (folder / "model.onnx").unlink()
    assert load_card(folder) == card
