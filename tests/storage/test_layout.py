from __future__ import annotations

import errno
import os
import subprocess
import sys
import unicodedata
from pathlib import Path, PureWindowsPath
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import AlbumError, BusyError, NetworkDriveError, PhotoError, StorageError, UsageError
from mien.storage import layout as workspace
from mien.storage.layout import Mount, Workspace, check_local, chip_keys, people_below
from mien.text.names import valid_person

COMPOSED, DECOMPOSED = "José", unicodedata.normalize("NFD", "José")


@pytest.fixture
def album(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "album", "personal")


def put(album: Workspace, path: str, data: bytes = b"photo") -> Path:
    file = album.training / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def linked(link: Path, target: Path, folder: bool = False) -> None:
    try:
        link.symlink_to(target, target_is_directory=folder)
    except OSError as error:
        pytest.skip(f"no symbolic links here: {error}")


# An album


def test_a_new_album_can_be_opened(tmp_path: Path) -> None:
    made = Workspace.create(tmp_path / "deep" / "album", 'they said "yes"')
    assert Workspace.open(tmp_path / "deep" / "album") == made
    assert made.settings.basis == 'they said "yes"'
    assert made.training.is_dir()


def test_what_lies_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "training-images" / "ann").mkdir(parents=True)
    (tmp_path / "training-images" / "ann" / "1.jpg").write_bytes(b"1")
    album = Workspace.create(tmp_path, "personal")
    assert [one.path for one in album.walk_training().placements] == ["ann/1.jpg"]


def test_an_album_is_not_made_twice(album: Workspace) -> None:
    album.settings_file.write_text("views = 1\n")
    with pytest.raises(AlbumError, match="already"):
        Workspace.create(album.folder, "other")
    assert album.settings_file.read_text() == "views = 1\n"


def test_what_is_no_album_is_refused_with_the_way_out(tmp_path: Path) -> None:
    with pytest.raises(AlbumError, match=r"is not an album.*mien init"):
        Workspace.open(tmp_path)
    with pytest.raises(AlbumError, match=r"does not exist.*mien init"):
        Workspace.open(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        Workspace.create(tmp_path / "file", "personal")


def test_flags_reach_the_settings(album: Workspace) -> None:
    assert Workspace.open(album.folder, {"views": 1}).settings.views == 1


def test_the_catalog_lies_in_the_album_or_where_the_settings_say(album: Workspace, tmp_path: Path) -> None:
    assert album.local_catalog() == album.folder / ".mien" / "catalog.sqlite"
    elsewhere = Workspace.open(album.folder, {"catalog": str(tmp_path / "x" / "c.sqlite")}).local_catalog()
    assert elsewhere == tmp_path / "x" / "c.sqlite"
    assert elsewhere.parent.is_dir()
    assert Workspace.open(album.folder, {"catalog": "near.sqlite"}).catalog_file == album.folder / "near.sqlite"
    assert "~" not in str(Workspace.open(album.folder, {"catalog": "~/c.sqlite"}).catalog_file)


def test_a_read_only_album_is_refused_kindly(album: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "1.jpg"
    source.write_bytes(b"1")

    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=r"read-only. Use a folder that can be written to"), album.lock("train"):
        pass
    with pytest.raises(StorageError, match="read-only"):
        album.add_photo("Ann", source)
    with pytest.raises(StorageError, match="read-only"):
        Workspace.create(tmp_path / "other", "personal")


# Walking


def test_photos_at_any_depth_belong_to_the_folder_at_the_top(album: Workspace) -> None:
    for path in ("山田/1.jpg", "山田/2019/夏/2.JPG", "A_B/x.png", "a-b/x.png", "Nobody/notes.txt"):
        put(album, path, path.encode())
    training = album.walk_training()
    assert training.people == ("A_B", "Nobody", "a-b", "山田")
    assert [(one.person, one.path) for one in training.placements] == [
        ("A_B", "A_B/x.png"),
        ("a-b", "a-b/x.png"),
        ("山田", "山田/1.jpg"),
        ("山田", "山田/2019/夏/2.JPG"),
    ]
    first = training.placements[0]
    stat = album.photo_file(first.path).stat()
    assert (first.size, first.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert training.left_out == ()


def test_hidden_things_and_small_copies_are_passed_over(album: Workspace) -> None:
    for path in (
        "ann/.1.jpg",
        "ann/._2.jpg",
        ".trash/3.jpg",
        "ann/.thumbs/4.jpg",
        "ann/@eaDir/5.jpg",
        "__MACOSX/6.jpg",
    ):
        put(album, path)
    assert album.walk_training() == workspace.Training(("ann",), (), ())


def test_what_cannot_be_learned_from_is_reported(album: Workspace) -> None:
    put(album, "loose.jpg")
    put(album, "ann/film.mp4")
    put(album, "ann/sub/raw.cr2")
    put(album, "readme.txt")
    assert [(one.path, one.reason) for one in album.walk_training().left_out] == [
        ("ann/film.mp4", workspace.UNSUPPORTED),
        ("ann/sub/raw.cr2", workspace.UNSUPPORTED),
        ("loose.jpg", workspace.NO_PERSON),
    ]


def test_two_spellings_of_one_name_are_one_person(album: Workspace) -> None:
    put(album, f"{COMPOSED}/1.jpg")
    put(album, f"{DECOMPOSED}/2.jpg")
    training = album.walk_training()
    assert training.people == (COMPOSED,)
    assert {one.person for one in training.placements} == {COMPOSED}
    assert sorted(album.photo_file(one.path).name for one in training.placements) == ["1.jpg", "2.jpg"]


def test_links_to_photos_are_followed_and_links_to_folders_are_not(album: Workspace, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"12345")
    put(album, "ann/1.jpg")
    linked(album.training / "ann" / "linked.jpg", outside)
    linked(album.training / "ann" / "broken.jpg", tmp_path / "nothing.jpg")
    linked(album.training / "ann" / "self.jpg", album.training / "ann" / "self.jpg")
    linked(album.training / "ann" / "loop", album.training, folder=True)
    linked(album.training / "bob", album.training / "ann", folder=True)
    training = album.walk_training()
    assert [(one.path, one.size) for one in training.placements] == [("ann/1.jpg", 5), ("ann/linked.jpg", 5)]
    assert {one.path: one.reason for one in training.left_out} == {
        "ann/broken.jpg": workspace.BROKEN_LINK,
        "ann/self.jpg": workspace.BROKEN_LINK,
        "ann/loop": workspace.LINKED_FOLDER,
        "bob": workspace.LINKED_FOLDER,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are not Unicode")
def test_a_name_that_is_not_unicode_is_reported(album: Workspace) -> None:
    put(album, "ann/1.jpg")
    Path(os.fsdecode(os.fsencode(album.training) + b"/ann/caf\xe9.jpg")).write_bytes(b"x")
    training = album.walk_training()
    assert [one.path for one in training.placements] == ["ann/1.jpg"]
    assert training.left_out == (workspace.LeftOut("ann/caf?.jpg", workspace.NOT_UNICODE),)


def test_a_folder_that_cannot_be_opened_is_reported(album: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    put(album, "ann/1.jpg")
    put(album, "bob/1.jpg")
    scandir = os.scandir

    def locked(folder: Path) -> object:
        if folder.name == "bob":
            raise PermissionError(errno.EACCES, "denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    training = album.walk_training()
    assert training.people == ("ann", "bob")
    assert [one.path for one in training.placements] == ["ann/1.jpg"]
    assert training.left_out == (workspace.LeftOut("bob", workspace.UNREADABLE),)


def test_training_images_that_are_not_there_are_not_an_empty_album(album: Workspace) -> None:
    album.training.rmdir()
    with pytest.raises(AlbumError, match=r"training-images is missing"):
        album.walk_training()


def test_any_folder_of_people_can_be_walked(tmp_path: Path) -> None:
    for path in (f"{DECOMPOSED}/x/1.jpg", "bob/2.jpg", "loose.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = people_below(tmp_path)
    assert [(path.name, person) for path, person in found] == [("1.jpg", COMPOSED), ("2.jpg", "bob")]
    assert all(path.is_file() for path, _ in found)
    with pytest.raises(UsageError, match="is not a folder"):
        people_below(tmp_path / "loose.jpg")
    with pytest.raises(UsageError, match="There is no photo of a person"):
        people_below(tmp_path / "bob")


# Adding


def test_a_photo_is_copied_with_its_time_and_the_original_stays(album: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "Été 1.JPG"
    source.write_bytes(b"pixels")
    os.utime(source, ns=(10**18, 10**18))
    added = album.add_photo("山田", source)
    assert added == album.training / "山田" / "Été 1.JPG"
    assert added.read_bytes() == source.read_bytes() == b"pixels"
    assert added.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert [file.name for file in added.parent.iterdir()] == [added.name]


def test_nothing_is_overwritten_and_nothing_added_twice(album: Workspace, tmp_path: Path) -> None:
    names = []
    for content in (b"one", b"two", b"one", b"two", b"six"):
        source = tmp_path / "x" / "a.b.jpg"
        source.parent.mkdir(exist_ok=True)
        source.write_bytes(content)
        added = album.add_photo("Ann", source)
        names.append(added and (added.name, added.read_bytes()))
    assert names == [("a.b.jpg", b"one"), ("a.b-2.jpg", b"two"), None, None, ("a.b-3.jpg", b"six")]


def test_a_person_is_found_by_the_other_spelling_of_their_name(album: Workspace, tmp_path: Path) -> None:
    put(album, f"{DECOMPOSED}/1.jpg")
    source = tmp_path / "2.jpg"
    source.write_bytes(b"2")
    assert album.add_photo(COMPOSED, source) is not None
    assert [one.name for one in album.training.iterdir()] == [DECOMPOSED]
    assert album.walk_training().people == (COMPOSED,)


def test_nothing_is_written_through_a_link(album: Workspace, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    linked(album.training / "Ann", tmp_path / "outside", folder=True)
    source = tmp_path / "1.jpg"
    source.write_bytes(b"1")
    with pytest.raises(AlbumError, match="is a link"):
        album.add_photo("Ann", source)
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_is_no_photo_is_not_added(album: Workspace, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.jpg").mkdir()
    for name, kind in (
        ("notes.txt", UsageError),
        (".jpg", UsageError),
        ("gone.jpg", PhotoError),
        ("folder.jpg", PhotoError),
    ):
        with pytest.raises(kind, match=name):
            album.add_photo("Ann", tmp_path / name)
    assert list(album.training.iterdir()) == []


def test_a_full_disk_leaves_no_half_photo(album: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = tmp_path / "1.jpg"
    source.write_bytes(b"1")

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        album.add_photo("Ann", source)
    assert list((album.training / "Ann").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["José", "山田", "A_B", "a-b", "O'Neil & Søn, Jr", "❤️", "محمد", "Concord", "com", "x.y"]
)
def test_people_may_have_names(name: str) -> None:
    assert valid_person(name) == unicodedata.normalize("NFC", name)


# fmt: off
IMPOSSIBLE = [
    "", " ", ".", "..", "../x", "a/b", "a\\b", "a\0b", "a\nb", "a\u2028b", ".hidden", "dot.", "space ", " space",
    "con", "NUL", "Aux.txt", "com1", "LPT9.x", "COM¹", "nul .x", "c:", "what?", "a*", "<b>", 'a"b', "a|b",
    "x" * 201, "é" * 101, "@eaDir", "caf\udce9",
]
# fmt: on


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_names_are_refused(name: str, album: Workspace, tmp_path: Path) -> None:
    source = tmp_path / "1.jpg"
    source.write_bytes(b"1")
    with pytest.raises(UsageError, match="cannot be a person's name"):
        album.add_photo(name, source)


WILD = st.text(st.sampled_from("./\\: \0~a1é́\u202e\udcff") | st.characters(), max_size=12)


@settings(deadline=None)
@given(WILD)
def test_no_name_lands_outside_or_is_bent_into_another(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("root")
    source = root / "1.jpg"
    source.write_bytes(b"1")
    album = Workspace.create(root / "album", "personal")
    before = set(root.rglob("*"))
    try:
        added = album.add_photo(name, source)
    except UsageError:
        assert set(root.rglob("*")) == before
        return
    assert added is not None
    assert added.resolve().parent.parent == album.training.resolve()
    assert album.walk_training().people == (unicodedata.normalize("NFC", name),)
    assert set(root.rglob("*")) - before == {added, added.parent}


# Chips


def test_a_chip_has_the_stem_and_where_that_is_taken_the_full_name() -> None:
    paths = ["ann/2019/a.jpg", "ann/A.png", "ann/a.jpg", "ann/b.c.jpg", "bob/a.jpg"]
    assert chip_keys((path, path.split("/")[0]) for path in paths) == {
        "ann/2019/a.jpg": "ann/a.png",
        "ann/A.png": "ann/A.png.png",
        "ann/a.jpg": "ann/a.jpg.png",
        "ann/b.c.jpg": "ann/b.c.png",
        "bob/a.jpg": "bob/a.png",
    }


PATHS = st.lists(
    st.text("aAbé./-1", min_size=1, max_size=8).map(lambda text: f"ann/{text}.jpg"), unique=True, max_size=12
)


@settings(deadline=None)
@given(PATHS, st.randoms())
def test_chips_never_share_a_file_and_depend_on_the_set_alone(paths: list[str], random: Random) -> None:
    keys = chip_keys((path, "ann") for path in paths)
    assert keys.keys() == set(paths)
    assert len({unicodedata.normalize("NFC", key.casefold()) for key in keys.values()}) == len(paths)
    assert all(key.startswith("ann/") and key.count("/") == 1 and key.endswith(".png") for key in keys.values())
    assert chip_keys((path, "ann") for path in random.sample(paths, len(paths))) == keys


def test_the_longest_names_stay_within_what_a_disk_takes() -> None:
    paths = [f"ann/{folder}/{'é' * 120}{i}.jpg" for folder in ("x", "y") for i in range(3)]
    keys = chip_keys((path, "ann") for path in paths)
    assert len(set(keys.values())) == 6
    assert max(len(key.encode()) for key in keys.values()) < 250


def test_a_removed_chip_takes_its_empty_folder_along(album: Workspace) -> None:
    for key in ("ann/a.png", "bob/a.png", "bob/b.png"):
        album.chip_file(key).parent.mkdir(parents=True, exist_ok=True)
        album.chip_file(key).touch()
    assert album.walk_aligned() == {"ann/a.png", "bob/a.png", "bob/b.png"}
    for key in ("ann/a.png", "bob/a.png", "bob/a.png"):  # a second time does no harm
        album.remove_chip(key)
    assert [one.name for one in album.aligned.iterdir()] == ["bob"]
    assert album.walk_aligned() == {"bob/b.png"}


# The lock

HOLDER = """
import sys
from pathlib import Path
from mien.storage.layout import Workspace
with Workspace.open(Path(sys.argv[1])).lock("mien train"):
    print("held", flush=True)
    sys.stdin.read()
"""


def hold(album: Workspace) -> subprocess.Popen[str]:
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(album.folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert holder.stdout and holder.stdout.readline() == "held\n"
    return holder


def test_a_second_run_is_told_who_holds_the_album(album: Workspace) -> None:
    with hold(album) as holder:
        with pytest.raises(BusyError) as caught, album.lock("mien align"):
            pytest.fail("two runs at once")
        assert f'in use by "mien train" (process {holder.pid} on ' in str(caught.value)
        assert holder.stdin
        holder.stdin.close()
        holder.wait()
        with album.lock("mien align"):
            pass


def test_the_lock_of_a_killed_run_is_gone_and_its_name_is_not_believed(album: Workspace) -> None:
    with hold(album) as holder:
        holder.kill()
        holder.wait()
    assert "mien train" in album.lock_file.with_suffix(".json").read_text()
    with album.lock("mien align"):
        with pytest.raises(BusyError, match="mien align"), album.lock("mien add"):
            pytest.fail("two runs at once")
        album.lock_file.with_suffix(".json").write_text("{")
        with pytest.raises(BusyError, match="another run of mien"), album.lock("mien add"):
            pytest.fail("two runs at once")
    with album.lock("mien add"):
        pass


# Network drives

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


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
@pytest.mark.parametrize(
    "path", ["/home/ann/nas/a/.mien/c.sqlite", "/home/annabel/c", "/auto/c", "/ssh/c", "/mnt/c/a/c"]
)
def test_a_catalog_on_a_network_drive_is_refused_with_the_way_out(path: str) -> None:
    with pytest.raises(NetworkDriveError, match=r'catalog = "/a/local/folder/catalog\.sqlite" in mien\.toml'):
        check_local(Path(path), LINUX)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
@pytest.mark.parametrize("path", ["/home/ann/c", "/home/ann/nas/local/c", "/home/ann/nasty/c", "/shared/c", "/c"])
def test_a_catalog_on_a_disk_is_not(path: str) -> None:
    check_local(Path(path), LINUX)


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
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


def test_an_album_asks_where_its_catalog_lies(album: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "_mounts", lambda: [Mount(album.folder.anchor, "nfs", "rw")])
    with pytest.raises(NetworkDriveError):
        album.local_catalog()
    monkeypatch.undo()
    assert album.local_catalog().parent.is_dir()
