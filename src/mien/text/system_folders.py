"""Folders that systems, disk stations, programs and cameras make for themselves: nobody is called so."""

from __future__ import annotations

import re
import unicodedata

_OF_SYSTEMS = re.compile(
    # Synology: small copies of the photos, bins, earlier states, and what its packages keep on a volume
    r"@(eadir|tmp|sharebin|sharesnap|s2s|database|app(store|data|conf|home|temp|share)|synologydrive|cloudsync|spool"
    r"|quarantine|userpreference|usbmount|img_bkp_cache|autoupdate|download|downloadpackages|docker|iscsi.*)"
    r"|#(recycle|snapshot|trash)"
    # QNAP; Samba's bin by its several names; NetApp, WD, Thecus, Netatalk; Buffalo; ownCloud and Nextcloud
    r"|@recently-snapshots?|@?snapshots?_backup|@__thumb|@transcode|@snapshots?|[~#]snapshots?"
    r"|[@#_$]?recycle([ _.-]?(d|r|bin))?( - volume_?[0-9]+)?|network (recycle bin|trash folder)( [0-9]+)?"
    r"|_?nas_(recycle.*|media|prog)|_sys_tmp"
    r"|[@#_$]?trash([ _-]?(box|can|bin)|-[0-9]+)?|files_(trashbin|versions)|deleted items"
    r"|papierkorb|corbeille|papelera( de reciclaje)?|cestino|prullenbak|lixeira|papperskorg(en)?|papirkurv"
    # Windows
    r"|\$recycle\.bin|system volume information|found\.[0-9]{3}|\$(extend|sysreset|winreagent|windows\.~(bt|ws))"
    r"|config\.msi|msocache|windowsimagebackup|wpsystem|wudownloadcache|(eh)?thumbs\.db"
    # macOS, in archives, on shares and on memory cards
    r"|__macosx|temporary items|thevolumesettingsfolder|thefindbycontentfolder|cleanup at startup"
    r"|resource\.frk|backups\.backupdb"
    # Linux, Android
    r"|lost\+found|lost\.dir"
    # Small copies and catalogs of cameras and photo programs
    r"|thmbnl|_?thumb(nail)?s?|captureone|plex versions|.*\.(lrdata|lrcat-data|photoslibrary|photolibrary)"
    r"|.*\.(migratedphotolibrary|aplibrary|cocatalog)",
)

_OF_CAMERAS = re.compile(
    r"dcim|misc|private|avchd|bdmv|avf_info|canonmsc|eosmisc|thm|m4root|mp_root|sonycard|camera roll"
    # the folders in DCIM, three digits and five letters by the design rule for camera file systems, for known makers
    r"|[1-9][0-9]{2}(canon|eos..|msdcf|apple|cloud|media|andro|_pana|nikon|n[a-z][0-9]{3}|d[0-9]{4}|olymp|_fuji|pentx"
    r"|ricoh|gopro|leica|sigma|casio|kodak|sscam|samsg|photo|sharp|epson|_?hasbl|video|djifl)",
)


def is_of_systems(name: str) -> bool:
    """Whether a file or folder of this name is never a person's and no photo, wherever it lies: it is hidden, or
    systems and programs put it beside photos, full of small copies or of what was deleted."""
    return name.startswith(".") or _OF_SYSTEMS.fullmatch(_folded(name)) is not None


def is_of_cameras(name: str) -> bool:
    """Whether cameras name a folder so in which other folders lie: it is no person's, but a person's photos may lie in
    one that was copied as it is."""
    return _OF_CAMERAS.fullmatch(_folded(name)) is not None


def _folded(name: str) -> str:
    return unicodedata.normalize("NFKC", name).casefold().strip()
