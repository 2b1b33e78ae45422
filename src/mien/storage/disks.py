"""On which disk a catalog would lie: on a network drive it would come to harm."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path, PurePath, PureWindowsPath
from typing import NamedTuple

from mien.errors import NetworkDriveError


class Mount(NamedTuple):
    """A mounted disk, in psutil's words."""

    mountpoint: str
    fstype: str
    opts: str


_NETWORK = frozenset(
    """9p nfs nfs3 nfs4 cifs smb smb2 smb3 smbfs ncpfs afpfs afs coda webdav davfs davfs2 sshfs ceph ceph-fuse glusterfs
    lustre beegfs gpfs gfs2 ocfs2 orangefs pvfs2 s3fs rclone gcsfuse goofys juicefs mfs gvfsd-fuse curlftpfs""".split()  # noqa: SIM905
)
"""File systems, less the "fuse." of some, on which a catalog would come to harm (sqlite.org/wal.html: "All processes
using a database must be on the same host computer; WAL does not work over a network filesystem")."""


def check_local(path: PurePath, mounts: Sequence[Mount] | None = None) -> None:
    """Raises NetworkDriveError if a catalog at `path` would lie on a network drive; `mounts` are the disks, if known.

    9p is judged by the root: WSL mounts Windows drives by it, and SQLite's locks fail there, so it is refused. But
    where the root itself is 9p, the whole machine is a sandbox (gVisor, Kata) with one kernel behind all of it and no
    better disk to name. For that reason virtiofs, which shares a folder of one host with its guest, is allowed too.
    """
    if isinstance(path, Path):
        path = Path(os.path.realpath(path))  # a mapped Windows drive becomes its \\server\share
    mounts = _mounts() if mounts is None else mounts
    local = {"9p"} if any(mount.mountpoint == "/" and mount.fstype == "9p" for mount in mounts) else set[str]()
    mount = _mount_of(path, mounts)
    network = mount and (mount.fstype.removeprefix("fuse.") in _NETWORK - local or "remote" in mount.opts.split(","))
    if network or _is_unc(path):
        raise NetworkDriveError(
            str(path),
            f"is on a network drive{f' ({mount.fstype})' if mount else ''}, where a catalog would be damaged",
            'Put catalog = "/a/local/folder/catalog.sqlite" in mien.toml; the photos can stay where they are.',
        )


def _is_unc(path: PurePath) -> bool:
    """Whether it is a Windows path of a network share, in its short or its long form."""
    if not isinstance(path, PureWindowsPath):
        return False
    drive = path.drive.upper()
    return drive.startswith("\\\\?\\UNC\\") or (
        drive.startswith("\\\\") and not drive.startswith(("\\\\?\\", "\\\\.\\"))
    )


def _mount_of(path: PurePath, mounts: Sequence[Mount]) -> Mount | None:
    """The disk that `path` is on; of two mounted at one place, the later covers the other."""
    kind = type(path)
    depth = {i: len(kind(mount.mountpoint).parts) for i, mount in enumerate(mounts)}
    above = [i for i, mount in enumerate(mounts) if path.is_relative_to(kind(mount.mountpoint))]
    return mounts[max(above, key=lambda i: (depth[i], i))] if above else None


def _mounts() -> list[Mount]:
    import psutil  # type: ignore[import-untyped]  # 0.04 s, and only commands that write need it

    try:
        return [Mount(disk.mountpoint, disk.fstype, disk.opts) for disk in psutil.disk_partitions(all=True)]
    except OSError:
        return []  # a sandbox that hides its disks: nothing says that it is a network drive
