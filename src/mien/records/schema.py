"""The tables of the databases, and how an older file comes to have them.

    ledger    people <- fetches, failures, findings             what cannot be made again
              people <- corrections <- moves                     and under whom it was filed before
              source_runs     runs <- steps <- findings     promotions
              removals        salts                          and who may not come back
              events                                         and who asked for each change
              damaged         albums                         and of itself
    catalog   photos <- files <- chosen -> faces -> sightings   what can be seen again in the photos
              choices     chips
    access    keys     replies     jobs                            who may ask a server, and what it was asked to do

A person's name stands in a column of its own in `people` alone, and so does a name that the person had before, as a row
that is `same_as` the person's. Every other row about a person holds that person's id,
also where it holds a path, in which the name of a folder is the person's, so that a person is forgotten by deleting
rows. No database holds a sentence: what can be said is a kind of `mien.text` and figures. What a server answered may
hold names, and goes whenever somebody is forgotten.

Beside its columns here each table has one more, a checksum of its row (`mien.records.checksums`).

An album of any earlier version of mien opens as well. Whoever changes a table appends a step to `CATALOG_STEPS`,
`LEDGER_STEPS` or `ACCESS_STEPS`, which brings a file of the version before to the new one, and keeps an album of that
version in tests/albums (`tools/make_fixture_album.py` makes it). Keys of kinds are part of the schema, as the ledger
keeps them: a kind may get other words, but never another key.
"""

from __future__ import annotations

import sqlalchemy as sa

from mien.records.database import Migration

CATALOG = sa.MetaData()
LEDGER = sa.MetaData()
ACCESS = sa.MetaData()


def _say_on_what_ground(connection: sa.Connection) -> None:
    """Of choices that were made person by person nobody knows the ground: the next `align` makes them again."""
    for column in ("ground TEXT", "centre BLOB", "photos INTEGER"):
        connection.exec_driver_sql(f"ALTER TABLE choices ADD COLUMN {column}")
    connection.exec_driver_sql("CREATE INDEX ix_choices_ground ON choices (ground)")


def _know_what_is_sound(connection: sa.Connection) -> None:
    """3: of files when their contents or names last changed; of photos how many faces were seen in each, by which one
    that is missing is noticed; of faults what decoder met them and how often; and which photos were being looked at.
    Each row has a checksum, which `mien.records.database` adds by itself after all steps."""
    connection.exec_driver_sql("ALTER TABLE files ADD COLUMN ctime_ns INTEGER")
    connection.exec_driver_sql("ALTER TABLE sightings ADD COLUMN faces INTEGER")
    connection.exec_driver_sql("ALTER TABLE sightings ADD COLUMN decoder TEXT")
    connection.exec_driver_sql("ALTER TABLE sightings ADD COLUMN times INTEGER")
    connection.exec_driver_sql(
        "UPDATE sightings SET faces = (SELECT count(*) FROM faces WHERE faces.sha256 = sightings.sha256 "
        "AND faces.encoder = sightings.encoder)"
    )
    connection.exec_driver_sql(
        "CREATE TABLE begun (sha256 TEXT NOT NULL, PRIMARY KEY (sha256), "
        "FOREIGN KEY(sha256) REFERENCES photos (sha256) ON DELETE CASCADE) WITHOUT ROWID"
    )


CATALOG_STEPS: tuple[Migration, ...] = (_say_on_what_ground, _know_what_is_sound)
"""The nth step brings a catalog of schema n to n + 1."""


def _remember_who_was_removed(connection: sa.Connection) -> None:
    """2: who was removed, and which photos were."""
    connection.exec_driver_sql(
        "CREATE TABLE removals (key TEXT NOT NULL, photo TEXT NOT NULL, form TEXT NOT NULL, person TEXT, "
        "at TEXT NOT NULL, pending TEXT, PRIMARY KEY (key, photo), "
        "FOREIGN KEY(person) REFERENCES people (id) ON DELETE SET NULL) WITHOUT ROWID"
    )
    connection.exec_driver_sql("CREATE INDEX ix_removals_person ON removals (person)")
    connection.exec_driver_sql("CREATE TABLE salts (purpose TEXT NOT NULL, salt TEXT NOT NULL, PRIMARY KEY (purpose))")


def _know_damage_and_album(connection: sa.Connection) -> None:
    """3: each row has a checksum, likewise; what was found damaged is kept aside; and a ledger that does not lie in its
    album knows which one it is of."""
    connection.exec_driver_sql(
        "CREATE TABLE damaged (id INTEGER NOT NULL, of_table TEXT NOT NULL, row BLOB NOT NULL, PRIMARY KEY (id))"
    )
    connection.exec_driver_sql("CREATE TABLE albums (folder TEXT NOT NULL, PRIMARY KEY (folder))")


def _remember_corrections(connection: sa.Connection) -> None:
    """4: which names are other names of somebody; and what `move`, `rename` and `join` did."""
    same = "ALTER TABLE people ADD COLUMN same_as TEXT REFERENCES people (id) ON DELETE CASCADE"
    connection.exec_driver_sql(same)
    connection.exec_driver_sql(
        "CREATE TABLE corrections (id INTEGER NOT NULL, verb TEXT NOT NULL, at TEXT NOT NULL, person TEXT, "
        "target TEXT NOT NULL, state TEXT NOT NULL, before TEXT, after TEXT, PRIMARY KEY (id), "
        "FOREIGN KEY(person) REFERENCES people (id) ON DELETE CASCADE, FOREIGN KEY(target) REFERENCES people (id) "
        "ON DELETE CASCADE)"
    )
    connection.exec_driver_sql(
        "CREATE TABLE moves (id INTEGER NOT NULL, correction INTEGER NOT NULL, person TEXT NOT NULL, "
        "target TEXT NOT NULL, sha256 TEXT NOT NULL, was TEXT NOT NULL, now TEXT NOT NULL, PRIMARY KEY (id), "
        "FOREIGN KEY(correction) REFERENCES corrections (id) ON DELETE CASCADE, FOREIGN KEY(person) REFERENCES people "
        "(id) ON DELETE CASCADE, FOREIGN KEY(target) REFERENCES people (id) ON DELETE CASCADE)"
    )
    for table, column in (("moves", "correction"), ("moves", "sha256")):
        connection.exec_driver_sql(f"CREATE INDEX ix_{table}_{column} ON {table} ({column})")


def _remember_who_changed_what(connection: sa.Connection) -> None:
    """5: who asked for each change, and what came of it."""
    connection.exec_driver_sql(
        "CREATE TABLE events (id INTEGER NOT NULL, at TEXT NOT NULL, ended TEXT, actor TEXT NOT NULL, "
        "request TEXT NOT NULL, verb TEXT NOT NULL, person TEXT, outcome TEXT, version TEXT, PRIMARY KEY (id), "
        "FOREIGN KEY(person) REFERENCES people (id) ON DELETE SET NULL)"
    )
    connection.exec_driver_sql("CREATE INDEX ix_events_person ON events (person)")


LEDGER_STEPS: tuple[Migration, ...] = (
    _remember_who_was_removed,
    _know_damage_and_album,
    _remember_corrections,
    _remember_who_changed_what,
)
"""The same for ledgers."""


def _share_between_servers(connection: sa.Connection) -> None:
    """2: how far a job is that runs, and how many requests each key sent in a minute, for several servers."""
    connection.exec_driver_sql("ALTER TABLE jobs ADD COLUMN progress TEXT")
    connection.exec_driver_sql(
        "CREATE TABLE hits (key TEXT NOT NULL, minute INTEGER NOT NULL, requests INTEGER NOT NULL, "
        "PRIMARY KEY (key, minute)) WITHOUT ROWID"
    )


ACCESS_STEPS: tuple[Migration, ...] = (_share_between_servers,)
"""The same for what is known of access."""

# The ledger. Times are ISO 8601 in UTC, to the second.

people = sa.Table(
    "people",
    LEDGER,
    sa.Column("id", sa.Text, primary_key=True),  # random
    sa.Column("name", sa.Text, nullable=False, unique=True),  # NFC
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("until", sa.Text),  # the last day on which they may be recognised, as it was known when they came in
    sa.Column("since", sa.Text, nullable=False),
    # Whose other name it is, since a `rename` or `join`; null for somebody whose folder is called so.
    sa.Column("same_as", sa.ForeignKey("people.id", ondelete="CASCADE")),
)
corrections = sa.Table(
    "corrections",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("verb", sa.Text, nullable=False),  # "move", "rename", "join" or "confirm"
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE")),  # the other name; null for a move
    sa.Column("target", sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("state", sa.Text, nullable=False),  # how far it has come, "done" in the end
    sa.Column("before", sa.Text),  # the versions that were in use before and after
    sa.Column("after", sa.Text),
)
moves = sa.Table(
    "moves",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),  # in the order in which they are done
    sa.Column("correction", sa.ForeignKey("corrections.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("target", sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("sha256", sa.Text, nullable=False, index=True),  # "" for a folder, and for what is no photo
    sa.Column("was", sa.Text, nullable=False),  # relative to the album; "" once it is too late to undo it
    sa.Column("now", sa.Text, nullable=False),
)
fetches = sa.Table(
    "fetches",
    LEDGER,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True, index=True),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("phash", sa.Text, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("stamp", sa.Text, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("licence", "basis", "robots")),
    sa.Column("fetched_at", sa.Text, nullable=False),
    sa.Column("checked_at", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False, index=True),  # relative to the album
    sa.Column("fault", sa.Text, nullable=False),  # a kind of `mien.text.photos`, "" for none
    sqlite_with_rowid=False,  # here and below: one tree instead of two, as the key is text
)
failures = sa.Table(
    "failures",
    LEDGER,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE"), index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),  # of the kind "later", a page of a listing, its place among these
    sqlite_with_rowid=False,
)
source_runs = sa.Table(
    "source_runs",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False, index=True),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text, nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("brought", "duplicates", "known", "refused", "failed")),
    sa.Column("fault", sa.Text),  # a kind of `mien.text.fetching`; null for a source that was read to its end
)
runs = sa.Table(
    "runs",
    LEDGER,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("date", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
)
steps = sa.Table(
    "steps",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("figures", sa.Text, nullable=False),  # JSON: numbers and names of versions
    sa.UniqueConstraint("run", "name"),
)
findings = sa.Table(
    "findings",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),  # in the order in which they are told
    sa.Column("step", sa.ForeignKey("steps.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("people", sa.Text, nullable=False),  # JSON: ids, the person it is about first
    sa.Column("photos", sa.Text, nullable=False),  # JSON: paths relative to the album, of these people
    sa.Column("figures", sa.Text, nullable=False),  # JSON
)
promotions = sa.Table(
    "promotions",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("how", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
)
events = sa.Table(
    "events",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),  # in the order in which they began
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("actor", sa.Text, nullable=False),  # the name of a server's key, "" for the command line
    sa.Column("request", sa.Text, nullable=False),  # the server's id of the request, "" for none
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="SET NULL"), index=True),  # null for none, or forgotten
    sa.Column("outcome", sa.Text),  # "done", "failed" or "interrupted"; null until it is known
    sa.Column("version", sa.Text),  # that it put into use
)
removals = sa.Table(
    "removals",
    LEDGER,
    sa.Column("key", sa.Text, primary_key=True),  # a keyed hash of the person's name
    sa.Column("photo", sa.Text, primary_key=True),  # SHA-256; "" for the person as a whole
    sa.Column("form", sa.Text, nullable=False),  # a keyed hash of what all spellings of the name have in common
    sa.Column("person", sa.ForeignKey("people.id", ondelete="SET NULL"), index=True),  # null once they are forgotten
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("pending", sa.Text),  # how, while it is not finished
    sqlite_with_rowid=False,
)
salts = sa.Table(
    "salts",
    LEDGER,
    sa.Column("purpose", sa.Text, primary_key=True),
    sa.Column("salt", sa.Text, nullable=False),  # random, of this album alone
)
damaged = sa.Table(
    "damaged",
    LEDGER,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("of_table", sa.Text, nullable=False),
    sa.Column("row", sa.LargeBinary, nullable=False),  # as it was found, for a human: nothing in it can be believed
)
albums = sa.Table(
    "albums",
    LEDGER,
    sa.Column(
        "folder", sa.Text, primary_key=True
    ),  # its bytes as hex; one row, none for a ledger that lies in its album
)

# The catalog. `person` is an id of the ledger's `people`.

photos = sa.Table(
    "photos",
    CATALOG,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("width", sa.Integer),  # these four are unknown until it was decoded
    sa.Column("height", sa.Integer),
    sa.Column("format", sa.Text),
    sa.Column("phash", sa.Text),
    sqlite_with_rowid=False,
)
files = sa.Table(
    "files",
    CATALOG,
    sa.Column("path", sa.Text, primary_key=True),  # relative to the album, forward slashes, as on disk
    sa.Column("shelf", sa.Text, nullable=False, index=True),  # the first part of the path
    sa.Column("person", sa.Text, nullable=False, index=True),
    sa.Column("sha256", sa.ForeignKey("photos.sha256"), nullable=False, index=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("mtime_ns", sa.Integer, nullable=False),  # this and the next as far as 64 bits hold it
    sa.Column("ctime_ns", sa.Integer),  # when the system last wrote it; null where nobody knows, and it is hashed anew
    sqlite_with_rowid=False,
)
sightings = sa.Table(
    "sightings",
    CATALOG,
    sa.Column("sha256", sa.ForeignKey("photos.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("encoder", sa.Text, primary_key=True),
    sa.Column("seen_at", sa.Text, nullable=False),
    sa.Column("fault", sa.Text),  # a kind of `mien.text.photos`; null for a photo that could be read
    sa.Column("figures", sa.Text),  # JSON, of the fault
    sa.Column("faces", sa.Integer),  # how many
    sa.Column("decoder", sa.Text),  # what met the fault, see `mien.vision.images.decoder`; null for no fault
    sa.Column("times", sa.Integer),  # that it met this fault
    sqlite_with_rowid=False,
)
begun = sa.Table(
    "begun",
    CATALOG,
    # A photo that is being looked at; the row of one that was seen goes, and those that a killed run had begun stay.
    sa.Column("sha256", sa.ForeignKey("photos.sha256", ondelete="CASCADE"), primary_key=True),
    sqlite_with_rowid=False,
)
faces = sa.Table(
    "faces",
    CATALOG,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("encoder", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # from the left, 0 first
    *(sa.Column(side, sa.Float, nullable=False) for side in ("x0", "y0", "x1", "y1")),
    sa.Column("landmarks", sa.LargeBinary, nullable=False),  # 5x2 little-endian float32
    sa.Column("detector", sa.Text, nullable=False),
    sa.Column("detector_score", sa.Float, nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    *(sa.Column(part, sa.Float, nullable=False) for part in ("size", "sharpness", "pose", "exposure", "overall")),
    sa.Column("embedding", sa.LargeBinary, nullable=False),  # little-endian float32, as many as the encoder gives
    sa.CheckConstraint("length(landmarks) = 40"),
    sa.CheckConstraint("length(embedding) > 0 AND length(embedding) % 4 = 0"),
    sa.UniqueConstraint("sha256", "encoder", "number"),
    sa.ForeignKeyConstraint(("sha256", "encoder"), ("sightings.sha256", "sightings.encoder"), ondelete="CASCADE"),
    sqlite_autoincrement=True,  # an id is never used again, so an old one can never mean another face
)
chosen = sa.Table(
    "chosen",
    CATALOG,
    sa.Column("path", sa.ForeignKey("files.path", ondelete="CASCADE", onupdate="CASCADE"), primary_key=True),
    sa.Column("encoder", sa.Text, primary_key=True),  # each encoder's own face of the person in the photo is kept
    sa.Column("face", sa.ForeignKey("faces.id", ondelete="CASCADE"), nullable=False, index=True),
    sqlite_with_rowid=False,
)
choices = sa.Table(
    "choices",
    CATALOG,
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("encoder", sa.Text, primary_key=True),
    sa.Column("rule", sa.Text, nullable=False),  # by which the faces were chosen; no row once something has changed
    sa.Column("ground", sa.Text, index=True),  # a `mien.learning.own_face.Ground`; null before there were any
    sa.Column("centre", sa.LargeBinary),  # little-endian float32, the unit mean of their faces; null without one
    sa.Column("photos", sa.Integer),  # of which the centre is made
    sqlite_with_rowid=False,
)
chips = sa.Table(
    "chips",
    CATALOG,
    sa.Column("key", sa.Text, primary_key=True),  # relative to aligned-images; written, of this face, at this size
    sa.Column("path", sa.ForeignKey("files.path", ondelete="SET NULL", onupdate="CASCADE"), index=True),
    sa.Column("face", sa.ForeignKey("faces.id", ondelete="SET NULL"), index=True),
    sa.Column("size", sa.Integer, nullable=False),
)

# Access. Names of keys are no people's.

keys = sa.Table(
    "keys",
    ACCESS,
    sa.Column("name", sa.Text, primary_key=True),  # NFC
    sa.Column("sha256", sa.Text, nullable=False, unique=True),  # of the key
    sa.Column("scope", sa.Text, nullable=False),
    sa.Column("created", sa.Text, nullable=False),
    sa.Column("until", sa.Text),  # the last day on which it is good
    sa.Column("revoked", sa.Text),
    sa.Column("last_used", sa.Text),  # to the minute
    sqlite_with_rowid=False,
)
replies = sa.Table(
    "replies",
    ACCESS,
    sa.Column("id", sa.Integer, primary_key=True),  # in the order in which they were begun
    sa.Column("key", sa.Text, nullable=False),  # the name of the key
    sa.Column("request", sa.Text, nullable=False),  # SHA-256 of the idempotency key
    sa.Column("fingerprint", sa.Text, nullable=False),  # SHA-256 of what was asked; "" once somebody was forgotten
    sa.Column("at", sa.Text, nullable=False, index=True),
    sa.Column("holder", sa.Text, nullable=False),  # which process carries it out
    sa.Column("forgotten", sa.Boolean, nullable=False),  # whether somebody was since
    sa.Column("status", sa.Integer),  # of HTTP; null until it is done
    sa.Column("type", sa.Text, nullable=False),
    sa.Column("body", sa.LargeBinary),  # null for one that is not kept
    sa.UniqueConstraint("key", "request"),
)
jobs = sa.Table(
    "jobs",
    ACCESS,
    sa.Column("number", sa.Integer, primary_key=True),  # in the order in which they were asked for
    sa.Column("id", sa.Text, nullable=False, unique=True),  # random
    sa.Column("verb", sa.Text, nullable=False),
    sa.Column("key", sa.Text, nullable=False),  # the name of the key
    sa.Column("options", sa.Text, nullable=False),  # JSON; no person's name
    sa.Column("asked", sa.Text, nullable=False),
    sa.Column("started", sa.Text),
    sa.Column("ended", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("cancel", sa.Boolean, nullable=False),  # whether somebody wants it to end
    sa.Column("tries", sa.Integer, nullable=False),
    sa.Column("holder", sa.Text, nullable=False),  # which process runs it, "" for none
    sa.Column("pid", sa.Integer),
    sa.Column("host", sa.Text),
    sa.Column("forgotten", sa.Boolean, nullable=False),  # whether somebody was while it ran
    sa.Column("code", sa.Integer),
    sa.Column("result", sa.Text),  # JSON
    sa.Column("run", sa.Text),  # of the ledger
    sa.Column("progress", sa.Text),  # JSON, while it runs
)
hits = sa.Table(
    "hits",
    ACCESS,
    sa.Column("key", sa.Text, primary_key=True),  # the limit, with the name of a key
    sa.Column("minute", sa.Integer, primary_key=True, autoincrement=False),  # since 1970
    sa.Column("requests", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
