"""What `mien doctor` says: the parts of an album's set-up, and how each is."""

from __future__ import annotations

from enum import StrEnum

from mien.text.kinds import Kind


class Part(StrEnum):
    """A part of an album's set-up, in the order in which they are told."""

    MIEN = "mien"
    ALBUM = "album"
    SETTINGS = "settings"
    EXTRAS = "extras"
    ENCODER = "encoder"
    PHOTOS = "photos"
    CATALOG = "catalog"
    MODELS = "models"
    ENGINE = "engine"
    KEYS = "keys"
    RUNS = "runs"
    CLOCK = "clock"


class State(StrEnum):
    """How a part is."""

    OK = "ok"
    WARNING = "warning"
    PROBLEM = "problem"


_INSTALL = "Install it: `python -m pip install '{package}'`."
_CLOCKS = "Have both machines keep their time by NTP: limits of keys, and days, go by it."


class DoctorKind(Kind):
    """What is said of a part. With nothing to do it is well; what needs a human is a problem, the rest a warning."""

    # Whatever it is about
    FAILED = ("failed", "{said}", "{remedy}", True)
    SLOW = (
        "slow",
        "no answer within {seconds:g} seconds",
        "See that it is running, and that no firewall stands between.",
        True,
    )
    UNFORESEEN = ("unforeseen", "could not be looked at ({error})", "Please report it.", True)

    VERSIONS = ("versions", "{mien}, with Python {python} on {system}")
    FOLDER = ("folder", "{folder}, with {free} free on its disk")
    READ_ONLY = (
        "read-only",
        "{folder} may not be written: commands that read do their work",
        "Give yourself write access there, if others are to work as well.",
    )
    FULL = ("full", "{free} are free on the disk of {folder}", "Free some space: mien keeps what it finished.")
    READ = ("read", "{file}, with nothing wrong in it")
    INSTALLED = ("installed", "{extras}: installed, as the settings ask")
    NONE_NEEDED = ("none needed", "the settings ask for none")
    NO_EXTRA = ("no extra", "{about} is set, and {module} is not installed", _INSTALL, True)
    ENCODER = ("encoder", "{name} ({precision}), which is on this machine")

    IN_FOLDER = ("in folder", "in {folder}: {people:person|people}")
    NO_PHOTOS = ("no photos", "{folder} has nobody in it", "Add photos: `mien add PERSON PHOTO`.")
    BUCKET = ("bucket", "{url} can be listed, read, written and deleted from, {milliseconds:.0f} ms a request")
    BUCKET_READ_ONLY = (
        "bucket read-only",
        "{url} may not be written ({error})",
        "Allow it, if commands are to work there that bring photos or models.",
    )
    BUCKET_REFUSES = (
        "bucket refuses",
        "{url} cannot be reached or read ({error})",
        "Check the address, the credentials in the environment, and the rights: list, read, write, delete.",
        True,
    )
    LISTS_LATE = (
        "lists late",
        "{url} does not list at once what was written",
        "Use a storage whose listings are consistent, as S3's are.",
        True,
    )
    KEEPS_TRACES = (
        "keeps traces",
        "{url} could not be cleared of the object of this trial ({error})",
        "Allow deleting: whoever is to be forgotten would stay there.",
        True,
    )
    VERSIONED = (
        "versioned",
        "{url} keeps older versions of objects: photos that are removed stay in it",
        "Turn versioning off, or have old versions expire, or nobody can be forgotten.",
    )

    FILES = ("files", "{file}, {bytes}")
    FILES_OPEN = ("files open", "{file}, {bytes}, which a run has open, or left open when it was killed")
    NO_CATALOG = ("no catalog", "none yet: the next `mien align` makes it")
    CATALOG_DAMAGED = ("catalog damaged", "{rows:record} damaged", "Run `mien align`, which sees again what is lost.")
    LEDGER_DAMAGED = (
        "ledger damaged",
        "{rows:record} of the ledger damaged, and out of use",
        "Put a copy of {file} from a backup in its place.",
        True,
    )
    SERVER = ("server", "{url}: PostgreSQL {version}, {milliseconds:.1f} ms a question")
    NEW_SERVER = ("new server", "{url}: PostgreSQL {version}, {milliseconds:.1f} ms a question, with no album yet")
    OLD_SERVER = (
        "old server",
        "{url} is PostgreSQL {version}",
        "Use PostgreSQL {least} or later.",
        True,
    )
    NO_RIGHTS = (
        "no rights",
        "{url}: its user may not use {schemas}",
        "Give the user these schemas: `ALTER SCHEMA ... OWNER TO ...`.",
        True,
    )
    NO_SCHEMAS = (
        "no schemas",
        "{url} has no schemas of mien's, and its user may make none",
        "Let it: `GRANT CREATE ON DATABASE ... TO ...`.",
        True,
    )
    STANDBY = ("standby", "{url} is a standby, which takes no writes", "Name the primary in `catalog`.", True)
    NO_TLS = (
        "no tls",
        "{url} is reached over the network without TLS",
        "Add ?sslmode=verify-full to the URL: names of people, and the password, go over the wire.",
    )

    IN_USE = ("in use", "{version} is in use, of {people:person|people}")
    NO_MODEL = ("no model", "none is in use", "Run `mien train` once there are photos of people.")

    LOCAL = ("local", "this machine, with {workers:worker}")
    WORKERS = ("workers", "{url}: {workers:worker}, {threads:thread}, {memory} of memory{resources}")
    NO_WORKERS = ("no workers", "{url} has no workers", "Start some: `dask worker {url}`.", True)
    OTHER_MIEN = (
        "other mien",
        "{workers:worker} of {url} with another mien than {mien} here: {versions}",
        "Install the same version everywhere: models are the same on any engine only then.",
        True,
    )
    LACKS = (
        "lacks",
        "no worker of {url} has {resources}, which the settings ask for",
        "Start workers with it: `dask worker {url} --resources '{resources}'`.",
        True,
    )

    KEYS = ("keys", "{good} of {keys:key} good")
    NO_KEYS = ("no keys", "none: `mien serve` makes the first")
    NO_ADMIN = ("no admin", "none of {keys:key} may change the album", "`mien keys add NAME --scope admin` makes one.")

    QUIET = ("quiet", "none is at work, and none left anything")
    AT_WORK = ("at work", "{command} is at work, since {since}")
    HELD = ("held", "the album is in use by {holder}")
    KILLED = (
        "killed",
        "{command} was killed, and left things half done",
        "The next command that writes clears them up.",
    )
    PENDING = (
        "pending",
        "a correction was interrupted",
        "The next command that writes finishes it: `mien align` will do.",
    )

    SAME_TIME = ("same time", "within {seconds:.1f} s of that of {url}")
    AHEAD = ("ahead", "{seconds:.0f} s ahead of that of {url}", _CLOCKS)
    BEHIND = ("behind", "{seconds:.0f} s behind that of {url}", _CLOCKS)

    @property
    def state(self) -> State:
        """How a part is of which this is said."""
        if not self.remedy:
            return State.OK
        return State.PROBLEM if self.needs_human else State.WARNING
