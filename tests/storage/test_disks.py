"""On which disks a catalog may lie: `mien.storage.disks`."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path, PureWindowsPath
from typing import NoReturn

import pytest

from mien.errors import NetworkDriveError
from mien.open_album import for_writing
from mien.protocols import Silent
from mien.settings import Settings
from mien.storage import disks
from mien.storage.disks import Mount, check_local
from mien.storage.layout import Layout, create_album

POSIX = pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
LINUX = [
    Mount("/", "ext4", "rw"),
    Mount("/home", "ext4", "rw"),
    Mount("/home/ann/nas", "nfs4", "rw,vers=4.2"),
    Mount("/home/ann/nas/local", "xfs", "rw"),
    Mount("/home/annabel", "cifs", "rw"),
    Mount("/auto", "autofs", "rw"),
    Mount("/auto", "nfs", "rw"),
    Mount("/ssh", "fuse.sshfs", "rw"),
    Mount("/mnt/c", "9p", "rw,aname=drvfs"),
    Mount("/shared", "virtiofs", "rw"),
]


@POSIX
@pytest.mark.parametrize(
    "path", ["/home/ann/nas/a/.mien/c.sqlite", "/home/annabel/c", "/auto/c", "/ssh/c", "/mnt/c/a/c"]
)
def test_a_catalog_on_a_network_drive_is_refused_with_the_way_out(path: str) -> None:
    with pytest.raises(NetworkDriveError, match=r'catalog = "/a/local/folder/catalog\.sqlite" in mien\.toml') as caught:
        check_local(Path(path), LINUX)
    assert caught.value.about == path
    assert caught.value.what.startswith("is on a network drive (")


@POSIX
@pytest.mark.parametrize("path", ["/home/ann/c", "/home/ann/nas/local/c", "/home/ann/nasty/c", "/shared/c", "/c"])
def test_a_catalog_on_a_disk_is_not(path: str) -> None:
    check_local(Path(path), LINUX)


@POSIX
def test_in_a_sandbox_of_9p_there_is_nothing_better() -> None:
    check_local(Path("/data/c"), [Mount("/", "9p", "rw"), Mount("/data", "9p", "rw")])
    check_local(Path("/data/c"), [])


def test_windows_shares_are_network_drives() -> None:
    mounts = [Mount("C:\\", "NTFS", "rw,fixed"), Mount("Z:\\", "NTFS", "rw,remote")]
    for path in (r"\\server\photos\c", r"\\?\UNC\server\photos\c", r"Z:\album\c"):
        with pytest.raises(NetworkDriveError):
            check_local(PureWindowsPath(path), mounts)
    for path in (r"c:\album\c", r"\\?\C:\album\c"):
        check_local(PureWindowsPath(path), mounts)


def test_the_disks_of_this_machine_are_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check_local(tmp_path / "catalog.sqlite")
    monkeypatch.setattr(disks, "_mounts", lambda: [Mount(tmp_path.anchor, "nfs", "rw")])
    with pytest.raises(NetworkDriveError):
        check_local(tmp_path / "catalog.sqlite")


@POSIX
def test_a_link_to_a_network_drive_is_one(tmp_path: Path) -> None:
    (tmp_path / "nas").mkdir()
    (tmp_path / "album").symlink_to(tmp_path / "nas")
    mounts = [Mount("/", "ext4", "rw"), Mount(str((tmp_path / "nas").resolve()), "nfs", "rw")]
    with pytest.raises(NetworkDriveError):
        check_local(tmp_path / "album" / "catalog.sqlite", mounts)


def test_a_sandbox_that_hides_its_disks_says_nothing_of_network_drives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def hidden(all: bool) -> list[Mount]:  # noqa: A002 - psutil's name
        raise PermissionError

    monkeypatch.setattr("psutil.disk_partitions", hidden)
    check_local(tmp_path / "catalog.sqlite")


# An album that is opened for writing


def tools() -> NoReturn:
    pytest.fail("nobody asked for a tool")


def clock() -> datetime:
    pytest.fail("nobody asked for the time")


def test_the_folder_of_the_catalog_is_made_where_the_settings_say(tmp_path: Path) -> None:
    create_album(tmp_path / "album", "personal")
    elsewhere = tmp_path / "deep" / "er"
    for settings, folder in (
        (Settings(), tmp_path / "album" / ".mien"),
        (Settings(catalog=elsewhere / "c"), elsewhere),
    ):
        layout = Layout.of(tmp_path / "album", settings)
        with for_writing(layout, settings, tools, "mien align", clock, Silent()) as album:
            assert layout.catalog_file.parent == folder
            assert folder.is_dir()
            assert album.catalog.files.on([]) == []
        assert layout.catalog_file.is_file() and layout.ledger_file.is_file()


def test_an_album_asks_on_which_disk_its_catalog_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    create_album(tmp_path / "album", "personal")
    settings = Settings(catalog=tmp_path / "nas" / "catalog.sqlite")
    layout = Layout.of(tmp_path / "album", settings)
    with monkeypatch.context() as patch:
        patch.setattr(disks, "_mounts", lambda: [Mount(tmp_path.anchor, "nfs", "rw")])
        with pytest.raises(NetworkDriveError), for_writing(layout, settings, tools, "mien align", clock, Silent()):
            pytest.fail("a catalog would be damaged")
    assert not layout.catalog_file.parent.exists()
    with for_writing(layout, settings, tools, "mien align", clock, Silent()):
        assert layout.catalog_file.parent.is_dir()
