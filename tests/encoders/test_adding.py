"""Encoders come to a machine: from a folder, from an official address (here, and misbehaving), from a mirror."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType, SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mien import add_encoder, describe_encoder, remove_encoder
from mien.encoders import obtain, shelf
from mien.encoders.shelf import kept
from mien.errors import BusyError, EncoderError, StorageError, UsageError
from mien.seeing.encoders.network import NetworkEncoder
from mien.storage import hidden_file
from mien.web.client import Client

if TYPE_CHECKING:
    from conftest import TinyEncoder

CHIPS = np.random.default_rng(3).integers(0, 256, (3, 16, 16, 3), np.uint8)
PADDING = 3 << 20
"""Bytes that make a file one that does not come in a piece."""


class Address(ThreadingHTTPServer):
    """The official address: serves `files` by path, as `kind` says."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.kind = ""
        self.robots = b""
        self.asked: list[tuple[str, str]] = []
        """The path and the range of each request."""
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.waiting, self.go_on = threading.Event(), threading.Event()

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients hang up."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Address

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - so it is called
        """Nothing."""

    def do_GET(self) -> None:
        address = self.server
        if self.path == "/robots.txt":
            return self._send(200 if address.robots else 404, address.robots)
        wanted = self.headers.get("Range", "")
        address.asked.append((self.path, wanted))
        body = address.files.get(self.path)
        if body is None:
            return self._send(404, b"")
        match address.kind:
            case "elsewhere":
                self._send(302, b"", headers={"Location": f"http://localhost:{address.server_port}/other"})
            case "cut once" if not wanted:
                self._send(200, body[: len(body) // 2], len(body))
            case "cut always":
                self._send(200, body[: len(body) // 2], len(body))
            case "held":
                self._send(200, body[: len(body) // 2], len(body), close=False)
                address.waiting.set()
                address.go_on.wait(60)
                self.close_connection = True
            case "failing":
                self._send(503, b"")
            case _ if wanted:
                start = int(wanted.removeprefix("bytes=").removesuffix("-"))
                part = {"Content-Range": f"bytes {start}-{len(body) - 1}/{len(body)}"}
                self._send(206, body[start:], headers=part)
            case _:
                self._send(200, body)
        return None

    def _send(
        self,
        status: int,
        body: bytes,
        declared: int | None = None,
        close: bool = True,
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body) if declared is None else declared))
        self.send_header("ETag", '"one"')
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)
        self.close_connection = close and declared is not None


@pytest.fixture
def address() -> Iterator[Address]:
    server = Address()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield server
    server.go_on.set()
    server.shutdown()
    server.server_close()
    thread.join()


def connect(hosts: Iterable[str], *, allow_private: bool, largest: int) -> Client:
    """The web, on this machine too, without waiting."""
    return Client(hosts, allow_private=True, largest=largest, sleep=lambda _: None)


def offered(one: TinyEncoder, address: Address, **changed: Any) -> None:
    """Puts the network of `one`, made larger, at the address, and describes it so."""
    from onnx import load_model_from_string

    model = load_model_from_string(one.onnx.read_bytes())
    model.doc_string = "x" * PADDING
    data = model.SerializeToString()
    address.files["/official/tiny.onnx"] = data
    file = {
        "name": "tiny.onnx",
        "url": f"{address.url}/official/tiny.onnx",
        "sha256": hashlib.sha256(data).hexdigest(),
        "bytes": len(data),
    }
    one.onnx.unlink()
    one.describe(file | changed)


def left(home: Path) -> list[str]:
    """What lies in the folder of encoders, the lock aside."""
    return sorted(path.name for path in home.iterdir() if path.name != ".lock") if home.exists() else []


# From a folder


def test_a_users_own_encoder_is_kept_and_encodes(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    one = tiny(colour="bgr", mean=127.5, scale=[128.0, 64.0, 32.0])
    added = add_encoder(one.toml)
    assert (added.encoder.name, added.before, added.encoder.folder) == ("tiny", False, home / "tiny")
    assert left(home) == ["tiny"] and left(home / "tiny") == ["encoder.json", "fp32.onnx"]
    wanted = one.embed(CHIPS)
    np.testing.assert_allclose(
        NetworkEncoder(kept("tiny")).encode(CHIPS), wanted, rtol=0, atol=1e-5 * np.abs(wanted).max()
    )
    assert kept("tiny").description == describe_encoder(one.toml)


def test_it_is_replaced_by_adding_it_again_and_can_be_removed(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    one = tiny()
    before = add_encoder(one.toml).encoder.network("fp32").sha256
    one.describe(mean=1.0)
    assert add_encoder(one.toml).encoder.network("fp32").sha256 != before
    assert left(home) == ["tiny"]
    remove_encoder("tiny")
    assert left(home) == []
    with pytest.raises(EncoderError, match="is none that you added"):
        remove_encoder("tiny")


def test_its_network_of_8_bits_stays_as_long_as_it_is_of_the_same_network(
    tiny: Callable[..., TinyEncoder], home: Path
) -> None:
    one = tiny()
    fp32 = add_encoder(one.toml).encoder.network("fp32").read()
    shelf.keep(kept("tiny").description, {"fp32": fp32, "int8": b"8 bits"})
    assert {*add_encoder(one.toml).encoder.networks} == {"fp32", "int8"}
    one.describe(mean=1.0)
    assert {*add_encoder(one.toml).encoder.networks} == {"fp32"}


@pytest.mark.parametrize("given", ["folder", "file"])
def test_files_are_taken_from_a_folder_or_by_name(
    tiny: Callable[..., TinyEncoder], home: Path, tmp_path: Path, given: str
) -> None:
    one = tiny()
    place = tmp_path / "elsewhere"
    place.mkdir()
    file = shutil.move(one.onnx, place / ("tiny.onnx" if given == "folder" else "another name"))
    with pytest.raises(EncoderError, match=r"tiny\.onnx does not exist") as caught:
        add_encoder(one.toml)
    assert "--from FILE" in caught.value.remedy
    add_encoder(one.toml, place if given == "folder" else file)
    assert left(home) == ["tiny"]


def test_a_known_encoder_without_an_address_needs_its_file(home: Path, tmp_path: Path) -> None:
    with pytest.raises(EncoderError, match="has no address that mien may fetch it from") as caught:
        add_encoder("auraface")
    assert "mien encoders add auraface --from FILE" in caught.value.remedy
    (tmp_path / "glintr100.onnx").write_bytes(b"no network")
    with pytest.raises(EncoderError, match="The encoder auraface is no ONNX file"):
        add_encoder("auraface", tmp_path / "glintr100.onnx")
    assert left(home) == []


def test_a_wrong_file_of_a_known_encoder_is_not_read(home: Path, tmp_path: Path) -> None:
    described = describe_encoder("retail-0095")
    for file in described.files:
        (tmp_path / file.name).write_bytes(bytes(file.bytes))
    with pytest.raises(EncoderError, match=r"retail-0095\.xml is another file than the encoder retail-0095") as caught:
        add_encoder("retail-0095", tmp_path)
    assert "mien encoders add retail-0095 --from FOLDER" in caught.value.remedy
    assert "https://storage.openvinotoolkit.org/" in caught.value.remedy
    (tmp_path / described.files[0].name).write_bytes(b"short")
    with pytest.raises(EncoderError, match="has 5 bytes, where 350,427 are expected"):
        add_encoder("retail-0095", tmp_path)
    (tmp_path / described.files[0].name).unlink()
    with pytest.raises(EncoderError, match="does not exist"):
        add_encoder("retail-0095", tmp_path)
    assert left(home) == []


def test_what_is_no_plain_file_or_too_large_is_not_read(
    tiny: Callable[..., TinyEncoder], home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny()
    monkeypatch.setattr(obtain, "LARGEST", 1000)
    with pytest.raises(EncoderError, match="bytes, where at most 1,000 are expected"):
        add_encoder(one.toml)
    one.onnx.unlink()
    one.onnx.mkdir()
    with pytest.raises(EncoderError, match=r"is no plain file|cannot be read"):
        add_encoder(one.toml)
    if hasattr(os, "mkfifo"):
        one.onnx.rmdir()
        os.mkfifo(one.onnx)
        with pytest.raises(EncoderError, match="is no plain file"):
            add_encoder(one.toml)
    assert left(home) == []


def test_a_hostile_ir_leaves_nothing(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    one = tiny()
    one.describe({"name": "tiny.xml"}, {"name": "tiny.bin"})
    entities = b'<!DOCTYPE net [<!ENTITY a SYSTEM "file:///etc/passwd">]><net version="10">&a;</net>'
    for hostile in (entities, b"<net", b"\0" * 1000, b""):
        (one.folder / "tiny.xml").write_bytes(hostile)
        (one.folder / "tiny.bin").write_bytes(b"1234")
        with pytest.raises(EncoderError, match="The encoder tiny") as caught:
            add_encoder(one.toml)
        assert caught.value.remedy
    assert left(home) == []


def test_names_are_known_or_those_of_descriptions(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    with pytest.raises(EncoderError, match="The encoder tiny is none that mien knows") as caught:
        add_encoder("tiny")
    assert "retail-0095, dlib-resnet, adaface" in caught.value.remedy
    one = tiny(name="sface")
    with pytest.raises(EncoderError, match="is that of an encoder that mien knows"):
        add_encoder(one.toml)
    added = add_encoder("dlib-resnet")
    assert added.before and added.encoder.folder is None
    assert left(home) == []


def test_a_licence_that_forbids_commercial_use_is_held(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    one = tiny(commercial=False, licence="CC-BY-NC-4.0")
    with pytest.raises(EncoderError, match=r"may not be used commercially.*its licence is CC-BY-NC-4\.0"):
        add_encoder(one.toml, commercial=True)
    assert left(home) == []
    assert not add_encoder(one.toml).before


# From the web


def test_it_is_fetched_verified_and_kept(tiny: Callable[..., TinyEncoder], home: Path, address: Address) -> None:
    one = tiny()
    offered(one, address)
    assert not add_encoder(one.toml, connect=connect).before
    np.testing.assert_allclose(NetworkEncoder(kept("tiny")).encode(CHIPS), one.embed(CHIPS), rtol=1e-4, atol=1e-2)
    assert left(home) == ["tiny"]
    assert add_encoder(one.toml, connect=connect).before  # known by its hash, so nothing is fetched again
    assert len(address.asked) == 1
    (home / "tiny/fp32.onnx").write_bytes(b"damaged")
    assert not add_encoder(one.toml, connect=connect).before


def test_a_transfer_that_broke_off_is_resumed(tiny: Callable[..., TinyEncoder], home: Path, address: Address) -> None:
    one = tiny()
    offered(one, address)
    address.kind = "cut once"
    add_encoder(one.toml, connect=connect)
    half = len(address.files["/official/tiny.onnx"]) // 2
    assert [ranged for _, ranged in address.asked] == ["", f"bytes={half}-"]
    assert left(home) == ["tiny"]


@pytest.mark.parametrize(
    ("kind", "what", "remedy"),
    [
        ("cut always", "breaks off before its end", "Run the same command again later"),
        ("failing", "the server answers HTTP 503", "Run the same command again later"),
        ("elsewhere", "is at a host that the encoder's description does not list", "a file is known by its hash"),
    ],
)
def test_what_goes_wrong_on_the_way_leaves_nothing(
    tiny: Callable[..., TinyEncoder], home: Path, address: Address, kind: str, what: str, remedy: str
) -> None:
    one = tiny()
    offered(one, address)
    address.kind = kind
    with pytest.raises(EncoderError, match=what) as caught:
        add_encoder(one.toml, connect=connect)
    assert remedy in caught.value.remedy
    assert f"Download tiny.onnx from {address.url}/official/" in caught.value.remedy
    assert "--from FILE" in caught.value.remedy and "mien.toml" not in str(caught.value)
    assert left(home) == []
    address.kind = ""
    add_encoder(one.toml, connect=connect)
    assert left(home) == ["tiny"]


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({"sha256": "0" * 64}, f"its SHA-256 is [0-9a-f]{{64}}, and should be {'0' * 64}"),
        ({"bytes": 1000}, "is larger than the 1,000 bytes that are expected"),
        ({"bytes": 9_999_999}, "bytes, where 9,999,999 are expected"),
    ],
)
def test_another_file_than_described_leaves_nothing(
    tiny: Callable[..., TinyEncoder], home: Path, address: Address, changed: dict[str, Any], what: str
) -> None:
    one = tiny()
    offered(one, address, **changed)
    with pytest.raises(EncoderError, match=what):
        add_encoder(one.toml, connect=connect)
    assert left(home) == []


def test_a_host_that_the_description_lists_may_be_led_to(
    tiny: Callable[..., TinyEncoder], home: Path, address: Address
) -> None:
    one = tiny(hosts=["localhost"])
    offered(one, address)
    address.files["/other"] = address.files["/official/tiny.onnx"]
    address.kind = "elsewhere"
    with pytest.raises(EncoderError, match="leads from one address to the next"):  # led on and on, but let
        add_encoder(one.toml, connect=connect)
    assert left(home) == []


def test_a_host_must_be_one(tiny: Callable[..., TinyEncoder], home: Path, address: Address) -> None:
    one = tiny(hosts=["no host/"])
    offered(one, address)
    with pytest.raises(EncoderError, match="no host/ is no host") as caught:
        add_encoder(one.toml, connect=connect)
    assert caught.value.remedy == "Correct hosts in its description."
    assert left(home) == []


def test_what_robots_may_not_fetch_is_not_fetched(
    tiny: Callable[..., TinyEncoder], home: Path, address: Address
) -> None:
    one = tiny()
    offered(one, address)
    address.robots = b"User-agent: *\nDisallow: /official/\n"
    with pytest.raises(EncoderError, match=r"robots\.txt") as caught:
        add_encoder(one.toml, connect=connect)
    assert "Download tiny.onnx" in caught.value.remedy
    assert left(home) == [] and not address.asked


def test_a_private_address_is_not_asked(tiny: Callable[..., TinyEncoder], home: Path, address: Address) -> None:
    one = tiny()
    offered(one, address)
    with pytest.raises(EncoderError, match="which is no public address") as caught:
        add_encoder(one.toml)
    assert "--mirror" in caught.value.remedy and "allow_private" not in str(caught.value)
    assert not address.asked


def test_a_mirror_gives_the_same_files(tiny: Callable[..., TinyEncoder], home: Path, address: Address) -> None:
    one = tiny()
    offered(one, address)
    mirror = f"{address.url}/mirror/of ours/"
    address.files = {"/mirror/of%20ours/tiny.onnx": address.files.pop("/official/tiny.onnx")}
    with pytest.raises(EncoderError, match="is not there any more"):
        add_encoder(one.toml, connect=connect)
    add_encoder(one.toml, mirror=mirror)  # named by the user, so it may be in a network of theirs
    assert left(home) == ["tiny"]


def test_a_mirror_needs_a_hash_and_an_address(tiny: Callable[..., TinyEncoder], home: Path, address: Address) -> None:
    one = tiny()
    with pytest.raises(EncoderError, match="has no sha256 and bytes"):
        add_encoder(one.toml, mirror=address.url)
    offered(one, address)
    for wrong in ("127.0.0.1:1", "ftp://127.0.0.1/", "http://[", "folder"):
        with pytest.raises(UsageError, match="is no web address"):
            add_encoder(one.toml, mirror=wrong)
    assert left(home) == []


# Where it is kept


def test_no_room_is_told_before_anything_comes(
    tiny: Callable[..., TinyEncoder], home: Path, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny()
    offered(one, address)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=10**6))
    with pytest.raises(StorageError, match=r"is on a disk with 1 MB free, where 10 MB are needed") as caught:
        add_encoder(one.toml, connect=connect)
    assert "MIEN_HOME" in caught.value.remedy
    assert left(home) == [] and not address.asked


def test_a_disk_that_fills_up_leaves_nothing(
    tiny: Callable[..., TinyEncoder], home: Path, address: Address, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tiny()
    offered(one, address)

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as patch:
        patch.setattr(hidden_file, "temporary_file", lambda _: home / "no folder" / "file")
        with pytest.raises(StorageError):
            add_encoder(one.toml, connect=connect)
    for name in ("write_atomically", "sync_folder"):
        with monkeypatch.context() as patch:
            patch.setattr(shelf, name, full)
            with pytest.raises(StorageError, match="the disk is full"):
                add_encoder(one.toml, connect=connect)
        assert left(home) in ([], ["tiny"])
    add_encoder(one.toml, connect=connect)
    assert left(home) == ["tiny"]


def test_two_do_not_meet(tiny: Callable[..., TinyEncoder], home: Path) -> None:
    one = tiny()
    with shelf.at_work("encoders add"), pytest.raises(BusyError, match=r'is in use by "encoders add"'):
        add_encoder(one.toml)
    add_encoder(one.toml)
    with shelf.at_work("encoders add"), pytest.raises(BusyError):
        remove_encoder("tiny")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows knows no such signals")
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_run_that_is_stopped_leaves_nothing_that_counts(
    tiny: Callable[..., TinyEncoder], home: Path, address: Address, how: signal.Signals
) -> None:
    one = tiny()
    offered(one, address)
    address.kind = "held"
    mirror = f"{address.url}/official"
    words = [sys.executable, "-m", "mien", "encoders", "add", str(one.toml), "--yes", "--mirror", mirror]
    run = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert address.waiting.wait(60)
    while not any(path.suffix == ".tmp" for path in home.iterdir()):
        pass  # until its first bytes are on the disk
    run.send_signal(how)
    address.go_on.set()
    _, said = run.communicate(timeout=60)
    if how == signal.SIGINT:
        assert run.returncode == 130 and "Stopped" in said
        assert left(home) == []
    address.kind = ""
    with pytest.raises(EncoderError):
        kept("tiny")
    add_encoder(one.toml, connect=connect)
    assert left(home) == ["tiny"]
