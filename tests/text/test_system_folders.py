"""Folders that systems and cameras make are nobody's: `mien.text.system_folders`."""

from __future__ import annotations

import pytest

from mien.errors import UsageError
from mien.text.names import valid_person
from mien.text.system_folders import is_of_cameras, is_of_systems

# fmt: off
OF_SYSTEMS = [
    "@eaDir", "#recycle", "#Recycle", "#snapshot", "@tmp", "@sharebin", "@Recycle", "@Recently-Snapshot", ".@__thumb",
    "@__thumb", ".zfs", ".snapshot", "~snapshot", ".recycle", "recycle", "Recycle Bin", "RecycleBin",
    "Recycle Bin - Volume_1", "_NAS_Recycle_RAID", "nas_prog", ".wdmc", "trashbox", "Network Recycle Bin 1",
    "Network Trash Folder", ".Recycle.Bin", "files_trashbin", "files_versions", ".Trash-1000", ".Trashes", "Trash",
    "$RECYCLE.BIN", "$Recycle.Bin", "RECYCLER", "Recycled", "System Volume Information", "FOUND.000", "found.123",
    "$WinREAgent", "lost+found", "LOST.DIR", "Papierkorb", ".Spotlight-V100", ".fseventsd", ".TemporaryItems",
    ".DocumentRevisions-V100", ".AppleDouble", "__MACOSX", "Temporary Items", "TheVolumeSettingsFolder",
    "resource.frk", ".resource_frk", "Backups.backupdb", ".picasaoriginals", ".picasa.ini",
    "Lightroom Catalog Previews.lrdata", "Holiday.photoslibrary", "CaptureOne", ".dtrash", ".comments", ".xvpics",
    ".stfolder", ".stversions", ".dropbox.cache", "Thumbs.db", "Thumbs", "thumbnails", "_thumbs", ".thumbnails",
    "THMBNL", "＃recycle",
]
OF_CAMERAS = [
    "DCIM", "dcim", "MISC", "PRIVATE", "AVCHD", "CANONMSC", "THM", "100CANON", "101MSDCF", "100APPLE", "999_PANA",
]
PEOPLE = [
    "Ada Lovelace", "Dora Trashman", "Cycle", "Recy", "Thumbelina", "Tom Thumb", "Thumbsy", "@ada", "#1 fan", "$ara",
    "~ada", "Miscavige", "Ms Misc", "Privat", "Mac", "Temp", "Dropbox Dan", "Found", "Lost", "100 Smith", "12345678",
    "201A1234", "Snapshot Sam", "Bin", "Cestini", "Zfs", "Capture", "Papier", "Eadir", "Deleted", "Canon", "Kosz",
    "Corbeil", "Docker",
]
# fmt: on


@pytest.mark.parametrize("name", OF_SYSTEMS)
def test_folders_of_systems_are_nobodys_at_any_depth(name: str) -> None:
    assert is_of_systems(name)
    with pytest.raises(UsageError):
        valid_person(name)


@pytest.mark.parametrize("name", OF_CAMERAS)
def test_folders_of_cameras_are_nobodys_but_may_lie_in_somebodys(name: str) -> None:
    assert is_of_cameras(name) and not is_of_systems(name)
    with pytest.raises(UsageError, match="systems or cameras call a folder of their own so"):
        valid_person(name)


@pytest.mark.parametrize("name", PEOPLE)
def test_no_person_is_taken_for_a_folder_of_systems(name: str) -> None:
    assert not is_of_systems(name) and not is_of_cameras(name) and valid_person(name) == name
