"""The model folder: written whole or not at all, and believed in nothing when it is read back."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien import registry
from mien.errors import AlbumError, DamagedModelError, EncoderMismatchError, MienError, ModelError, StorageError
from mien.learning import openset as gallery
from mien.learning.head import Fitted
from mien.learning.openset import Calibration, Threshold
from mien.registry import EncoderCard, HeadCard, Provenance
from mien.storage import files
from mien.types import Floats

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
FILES = ("model.onnx", "labels.txt", "thresholds.json", "card.json")
THRESHOLD = gallery.choose_threshold([0.91, 0.92, 0.93], [0, 1, 2], 3, 0.01)
CALIBRATION = Calibration(250.0, 0.004)
NEEDS_LINKS = pytest.mark.skipif(os.name == "nt", reason="Windows lets few users make links")


def prototypes(people: int = 3) -> Floats:
    found = np.random.default_rng(people).normal(size=(people, 128))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), dtype=np.float32)


def head(people: int = 3) -> Fitted:
    nobody = np.empty((0, 128), np.float32), np.empty(0, np.int64)
    return Fitted(prototypes(people), None, *nobody, share=1.0, counted=np.ones(people, bool))


def provenance(**other: Any) -> Provenance:
    made: dict[str, Any] = {
        "encoder": EncoderCard(id="resnet-fp32-v4", precision="fp32", weights_sha256="ab" * 32, views=4),
        "head": HeadCard(name="prototypes", tried={"prototypes": 0.031, "nearest": 0.03}),
        "photos": {"Ann": ["2" * 64, "1" * 64], "José": ["3" * 64]},
        "counts": {"photos": 3, "faces": 3},
        "metrics": {"top1": 1.0},
    }
    return Provenance(**(made | other))


def write(
    models: Path,
    people: tuple[str, ...] = ("Ann", "José", "李小龙"),
    now: datetime = NOON,
    threshold: Threshold = THRESHOLD,
) -> str:
    return registry.write_model(models, people, head(len(people)), threshold, CALIBRATION, provenance(), now)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


@pytest.fixture
def folder(models: Path) -> Path:
    return models / write(models)


# Writing and reading back


def test_what_was_written_is_what_is_loaded(models: Path) -> None:
    model = registry.load_model(models / write(models))
    assert model.version == "2026-11-23-001"
    assert model.people == model.head.people == ("Ann", "José", "李小龙")
    assert (model.threshold, model.calibration, model.fpir) == (THRESHOLD, CALIBRATION, 0.01)
    assert model.encoder_id == "resnet-fp32-v4"
    assert model.card.photos == {"Ann": ["1" * 64, "2" * 64], "José": ["3" * 64]}
    assert model.card.head == HeadCard(name="prototypes", tried={"prototypes": 0.031, "nearest": 0.03})
    assert model.card.packages["numpy"] == np.__version__
    faces = prototypes(5)
    np.testing.assert_allclose(model.head.scores(faces), faces @ prototypes(3).T, atol=1e-6)


def test_a_folder_moved_elsewhere_still_loads_and_other_files_in_it_do_not_matter(folder: Path, tmp_path: Path) -> None:
    (folder / "notes.pkl").write_bytes(b"cos\nsystem\n.")
    moved = folder.rename(tmp_path / "moved")
    assert registry.load_model(moved).version == folder.name


def test_names_are_kept_in_nfc(models: Path) -> None:
    assert registry.load_model(models / write(models, ("Ann", "Jose\u0301", "Bo"))).people[1] == "Jos\u00e9"


@pytest.mark.parametrize("name", ["two\nlines", "tricky\u2028line", "", "half\ud800"])
def test_a_name_that_is_no_line_of_text_is_refused(models: Path, name: str) -> None:
    with pytest.raises(AlbumError, match="not one line of text"):
        write(models, ("Ann", name, "Bo"))
    assert registry.versions(models) == []


def test_two_people_of_one_name_are_refused(models: Path) -> None:
    with pytest.raises(AlbumError, match="Two people are called José"):
        write(models, ("Jose\u0301", "Jos\u00e9", "Bo"))


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_a_card_never_holds_a_number_that_is_none(models: Path, number: float) -> None:
    with pytest.raises(ValueError, match="finite"):
        registry.write_model(
            models, ["Ann"], head(1), THRESHOLD, CALIBRATION, provenance(metrics={"top1": number}), NOON
        )
    assert list(models.iterdir()) == []


def test_the_same_album_gives_the_same_files_but_for_the_run(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    first, second = one / write(one), other / write(other, now=datetime(2027, 1, 2, 3, 4, tzinfo=UTC))
    for name in FILES[:3]:
        assert (first / name).read_bytes() == (second / name).read_bytes()
    cards = [json.loads((folder / "card.json").read_bytes()) for folder in (first, second)]
    assert cards[0].pop("run") != cards[1].pop("run")
    assert cards[0] == cards[1]


def test_an_encoder_that_did_not_make_the_model_is_refused(folder: Path) -> None:
    model = registry.load_model(folder)
    model.require_encoder("resnet-fp32-v4")
    with pytest.raises(EncoderMismatchError, match=r"resnet-fp32-v4.*resnet-int8-v4"):
        model.require_encoder("resnet-int8-v4")


# Versions


def test_versions_count_up_and_sort_by_time(models: Path) -> None:
    assert registry.versions(models) == []
    days = [(2026, 11, 23), (2026, 11, 23), (2026, 12, 1), (2026, 11, 30)]
    written = [write(models, now=datetime(*day, tzinfo=UTC)) for day in days]
    # The clock was set back before the last one.
    assert written == ["2026-11-23-001", "2026-11-23-002", "2026-12-01-001", "2026-12-01-002"]
    assert registry.versions(models) == written


def test_the_thousandth_model_of_a_day_comes_last(models: Path) -> None:
    (models / "2026-11-23-999").mkdir(parents=True)
    assert write(models) == "2026-11-23-1000"
    assert registry.versions(models) == ["2026-11-23-999", "2026-11-23-1000"]


def test_current_is_what_was_promoted(models: Path) -> None:
    assert registry.current(models) is None
    first, second = write(models), write(models)
    assert registry.current(models) is None
    registry.promote(models, second)
    assert registry.current(models) == second
    registry.promote(models, first)  # rolling back
    assert registry.current(models) == first


@pytest.mark.parametrize("version", ["2026-01-01-001", "../elsewhere", "", "current"])
def test_what_is_no_version_cannot_be_promoted(models: Path, version: str) -> None:
    write(models)
    with pytest.raises(ModelError, match="no version"):
        registry.promote(models, version)


def test_a_damaged_model_does_not_become_current(models: Path) -> None:
    good, bad = write(models), write(models)
    registry.promote(models, good)
    flip(models / bad / "model.onnx", 500)
    with pytest.raises(DamagedModelError):
        registry.promote(models, bad)
    assert registry.current(models) == good


@pytest.mark.parametrize("text", [b"", b"../../etc", b"2026-11-23-001\n2026-11-23-002", b"\xff" * 8, b"x" * 65])
def test_a_garbled_current_is_refused(models: Path, text: bytes) -> None:
    write(models)
    (models / "current").write_bytes(text)
    with pytest.raises(DamagedModelError, match="current"):
        registry.current(models)


def test_current_may_come_from_windows(folder: Path) -> None:
    (folder.parent / "current").write_bytes(f"{folder.name}\r\n".encode())
    assert registry.current(folder.parent) == folder.name


def test_a_current_version_that_was_deleted_is_named(folder: Path) -> None:
    registry.promote(folder.parent, folder.name)
    shutil.rmtree(folder)
    with pytest.raises(DamagedModelError, match=f"names {folder.name}, which is not there"):
        registry.current(folder.parent)


# Damage


def flip(file: Path, at: int) -> None:
    data = bytearray(file.read_bytes())
    data[at % len(data)] ^= 1 << (at % 8)
    file.write_bytes(data)


def refused(folder: Path, file: str, match: str | None = None) -> None:
    with pytest.raises(DamagedModelError, match=match) as caught:
        registry.load_model(folder)
    assert str(folder / file) in caught.value.message
    assert "mien train" in caught.value.remedy


def test_no_model_at_all(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no model") as caught:
        registry.load_model(tmp_path / "nowhere")
    assert not isinstance(caught.value, DamagedModelError)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(file=st.sampled_from(FILES), at=st.integers(0, 2**20))
def test_a_changed_bit_anywhere_is_found(folder: Path, file: str, at: int) -> None:
    before = (folder / file).read_bytes()
    flip(folder / file, at)
    try:
        refused(folder, file)
    finally:
        (folder / file).write_bytes(before)


@pytest.mark.parametrize("file", FILES)
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


@pytest.mark.parametrize("file", FILES)
def test_an_oversized_file_is_not_read(folder: Path, file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(registry.LARGEST, file, 10)
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
    card = registry.Card.model_validate_json((folder / "card.json").read_bytes())
    entry = registry.FileCard(bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    card = card.model_copy(update={"files": {**card.files, file: entry}, "people": people or card.people})
    (folder / "card.json").write_bytes(registry._json(registry._sealed(card)))


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
    monkeypatch.setitem(registry.LARGEST, "thresholds.json", 1 << 20)
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
    ],
)
def test_forged_cards(folder: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    card = json.loads((folder / "card.json").read_bytes())
    change(card)
    card["run"]["seal"] = ""
    bare = (json.dumps(card, ensure_ascii=False, indent=1, sort_keys=True) + "\n").encode()
    card["run"]["seal"] = hashlib.sha256(bare).hexdigest()
    (folder / "card.json").write_text(
        json.dumps(card, ensure_ascii=False, indent=1, sort_keys=True) + "\n", encoding="utf-8", newline="\n"
    )
    refused(folder, "card.json")


def network(outside: str | None = None, output: str = "scores", op: str = "MatMul") -> bytes:
    """A network for three people; `outside` keeps its weights in that file, as ONNX allows."""
    weights = onnx.numpy_helper.from_array(np.ones((128, 3), np.float32), "w")
    if outside:
        weights.ClearField("raw_data")
        weights.data_location = onnx.TensorProto.EXTERNAL
        entry = weights.external_data.add()
        entry.key, entry.value = "location", outside
    graph = onnx.helper.make_graph(
        [onnx.helper.make_node(op, ["embedding", "w"], [output])],
        "g",
        [onnx.helper.make_tensor_value_info("embedding", onnx.TensorProto.FLOAT, ["N", 128])],
        [onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["N", 3])],
        [weights],
    )
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 17)], ir_version=8)
    return bytes(model.SerializeToString())


@pytest.mark.parametrize("outside", ["secret.bin", "../secret.bin", "/etc/passwd"])
def test_a_network_cannot_read_other_files(
    folder: Path, outside: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    for place in (here, tmp_path, folder):
        (place / "secret.bin").write_bytes(np.ones((128, 3), np.float32).tobytes())
    monkeypatch.chdir(here)  # ONNX Runtime alone would read here/secret.bin
    forge(folder, "model.onnx", network(outside))
    refused(folder, "model.onnx", "refers to other files")


@pytest.mark.parametrize("data", [b"", b"no network", b"\x18\0\0\0ORTM" + bytes(64), network()[:-20]])
def test_what_is_no_network(folder: Path, data: bytes) -> None:
    forge(folder, "model.onnx", data)
    refused(folder, "model.onnx")


def test_a_network_of_another_kind(folder: Path) -> None:
    forge(folder, "model.onnx", network())
    assert registry.load_model(folder).people  # the forgery as such works
    forge(folder, "model.onnx", network(output="something"))
    refused(folder, "model.onnx", "not a network from embeddings to scores")
    forge(folder, "model.onnx", network(op="NoSuchOperator"))
    refused(folder, "model.onnx", "cannot be run")


# Crashes


class PowerCut(BaseException):
    """Nothing runs after it, no clean-up either."""


def watch(patch: pytest.MonkeyPatch, models: Path, act: Callable[[int], None]) -> list[str]:
    """Has `act` called with the number of each step of writing, before it is taken; returns the steps so far."""
    steps: list[str] = []

    def watched(name: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if name == "fsync" or models in (Path(args[0]), *Path(args[0]).parents):
                steps.append(name)
                act(len(steps))
            return step(*args, **kwargs)

        return call

    for name in ("replace", "rename", "fsync", "mkdir"):
        patch.setattr(os, name, watched(name, getattr(os, name)))
    patch.setattr(Path, "open", watched("open", Path.open))
    return steps


def renew(models: Path) -> None:
    registry.promote(models, write(models, ("Ann", "Bo", "Cy")))


def number_of_steps(tmp_path: Path) -> int:
    models = tmp_path / "rehearsal"
    renew(models)
    with pytest.MonkeyPatch.context() as patch:
        steps = watch(patch, models, lambda _: None)
        renew(models)
    assert {"replace", "rename", "fsync", "mkdir", "open"} <= set(steps)
    return len(steps)


def check_valid(models: Path, old: str) -> None:
    """The current model is the old or the new one, every version loads, and the next run cleans up and succeeds."""
    for version in registry.versions(models):
        registry.load_model(models / version)
    used = registry.current(models)
    assert used is not None
    people = registry.load_model(models / used).people
    assert people == (("Ann", "José", "李小龙") if used == old else ("Ann", "Bo", "Cy"))
    renew(models)
    assert registry.current(models) == registry.versions(models)[-1]
    assert {entry.name for entry in models.iterdir()} == {"current", *registry.versions(models)}


def test_a_full_disk_at_any_step_leaves_the_old_model_or_the_new(tmp_path: Path) -> None:
    for step in range(1, number_of_steps(tmp_path) + 1):
        models = tmp_path / f"full-{step}"
        registry.promote(models, old := write(models))

        def refuse(number: int, step: int = step) -> None:
            if number == step:
                raise OSError(errno.ENOSPC, "No space left on device")

        with pytest.MonkeyPatch.context() as patch:
            watch(patch, models, refuse)
            try:
                renew(models)
            except (StorageError, DamagedModelError) as error:  # damaged: a file could not be opened for checking
                assert str(models) in error.message
        left = {entry.name for entry in models.iterdir()} - {"current", *registry.versions(models)}
        assert left == set()
        check_valid(models, old)


def test_a_power_cut_at_any_step_leaves_the_old_model_or_the_new(tmp_path: Path) -> None:
    for step in range(1, number_of_steps(tmp_path) + 1):
        models = tmp_path / f"cut-{step}"
        registry.promote(models, old := write(models))

        def cut(number: int, step: int = step) -> None:
            if number >= step:  # whatever tries to clean up fails as well
                raise PowerCut

        with pytest.MonkeyPatch.context() as patch:
            watch(patch, models, cut)
            patch.setattr(shutil, "rmtree", lambda *_, **__: None)
            patch.setattr(Path, "unlink", lambda *_, **__: None)
            with pytest.raises(PowerCut):
                renew(models)
        check_valid(models, old)


@NEEDS_LINKS
def test_leftovers_are_swept_and_nothing_else(models: Path, tmp_path: Path) -> None:
    write(models)
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "photo").touch()
    ours = [".mien-new-2026-11-22-003.tmp", ".mien-0123456789abcdef.tmp", ".mien-new-2026-11-22-004.tmp"]
    theirs = [".mien-mine.tmp", "new-2026-11-22-003", ".mien-new-2026-11-22-003.tmp.bak", "2026-old"]
    for name in (ours[0], *theirs):
        (models / name).mkdir()
        (models / name / "file").touch()
    (models / ours[1]).touch()
    (models / ours[2]).symlink_to(precious, target_is_directory=True)
    write(models)
    left = {entry.name for entry in models.iterdir()}
    assert not left & set(ours)
    assert set(theirs) <= left
    assert (precious / "photo").exists()


def test_a_file_in_the_way_is_an_error_of_mien(tmp_path: Path) -> None:
    (tmp_path / "models").write_text("not a folder")
    with pytest.raises(StorageError):
        write(tmp_path / "models")


def test_a_write_that_fails_inside_the_helper_leaves_no_version(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path, data: bytes) -> None:
        if path.name == "card.json":
            raise StorageError(f"{path}: full.", "Free some space.")
        files.write_atomically(path, data)

    monkeypatch.setattr(registry, "write_atomically", fail)
    with pytest.raises(MienError, match="full"):
        write(models)
    assert list(models.iterdir()) == []


# Versions beside the one in use


def test_the_versions_that_know_somebody_are_found_and_damaged_ones_passed_over(models: Path) -> None:
    first, second, third = write(models), write(models, ("Ann", "Eve")), write(models)
    (models / third / "labels.txt").write_bytes(b"\xff")
    assert registry.that_know(models, "José") == [first]
    assert registry.that_know(models, "Ann") == [first, second]


def test_versions_with_the_same_rule_are_told_from_those_fitted_otherwise(models: Path) -> None:
    other = gallery.choose_threshold([0.81, 0.82, 0.83], [0, 1, 2], 3, 0.01)
    first, _, third = write(models), write(models, threshold=other), write(models, ("Ann", "Eve"))
    assert registry.fitted_alike(models, registry.load_model(models / third)) == [third, first]


def test_a_retired_model_stays_on_disk(models: Path) -> None:
    version = write(models)
    registry.promote(models, version)
    for _ in range(2):
        registry.retire(models)
        assert registry.current(models) is None and registry.versions(models) == [version]


# Cards alone


def test_a_card_is_read_without_the_rest(folder: Path) -> None:
    card = registry.load_model(folder).card
    (folder / "model.onnx").unlink()
    assert registry.load_card(folder) == card


def test_a_list_has_every_version_and_what_is_wrong_with_it(models: Path) -> None:
    first, second, third = write(models), write(models), write(models)
    text = (models / second / "card.json").read_text("utf-8")
    (models / second / "card.json").write_text(text.replace('"views": 4', '"views": 2'), "utf-8")
    found = registry.cards(models)
    assert list(found) == [first, second, third]
    assert isinstance(found[second], DamagedModelError)
    assert found[first] == registry.load_card(models / first)
    assert registry.cards(models / "nothing") == {}
