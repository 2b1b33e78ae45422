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

Beside its columns here each table of a SQLite file has one more, a checksum of its row (`mien.records.checksums`).

An album of any earlier version of mien opens as well. Whoever changes a table adds a revision to
`mien.records.migrations`, which brings a database of the version before to the new one, counts the version here on, and
keeps an album of that version in tests/albums (`tools/make_fixture_album.py` makes it). Keys of kinds are part of the
schema, as the ledger keeps them: a kind may get other words, but never another key.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles

CATALOG = sa.MetaData()
LEDGER = sa.MetaData()
ACCESS = sa.MetaData()


CATALOG_VERSION: Final = 3
LEDGER_VERSION: Final = 5
ACCESS_VERSION: Final = 2
"""The schemas of the tables below: one more than there are revisions of each in `mien.records.migrations`."""

TEXT: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""A text, which is compared byte by byte on every database: a server would compare names as its country does."""
NUMBER: Final = sa.Integer().with_variant(sa.BigInteger(), "postgresql")
"""A whole number of 64 bits, which SQLite calls INTEGER."""


class _Nth(sa.ColumnElement[int]):
    """In which order the rows of a table without a number came, in a query of that table alone: SQLite numbers them by
    itself, and on a server such a table has a column for that."""

    inherit_cache = True
    type = sa.BigInteger()


@compiles(_Nth)
def _rowid(element: _Nth, compiler: object, **given: object) -> str:
    return "rowid"


@compiles(_Nth, "postgresql")
def _nth(element: _Nth, compiler: object, **given: object) -> str:
    return "nth"


NTH: Final = _Nth()

# The ledger. Times are ISO 8601 in UTC, to the second.

people = sa.Table(
    "people",
    LEDGER,
    sa.Column("id", TEXT, primary_key=True),  # random
    sa.Column("name", TEXT, nullable=False, unique=True),  # NFC
    sa.Column("basis", TEXT, nullable=False),
    sa.Column("until", TEXT),  # the last day on which they may be recognised, as it was known when they came in
    sa.Column("since", TEXT, nullable=False),
    # Whose other name it is, since a `rename` or `join`; null for somebody whose folder is called so.
    sa.Column("same_as", sa.ForeignKey("people.id", ondelete="CASCADE")),
)
corrections = sa.Table(
    "corrections",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("verb", TEXT, nullable=False),  # "move", "rename", "join" or "confirm"
    sa.Column("at", TEXT, nullable=False),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE")),  # the other name; null for a move
    sa.Column("target", sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("state", TEXT, nullable=False),  # how far it has come, "done" in the end
    sa.Column("before", TEXT),  # the versions that were in use before and after
    sa.Column("after", TEXT),
)
moves = sa.Table(
    "moves",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),  # in the order in which they are done
    sa.Column("correction", sa.ForeignKey("corrections.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("target", sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=False),
    sa.Column("sha256", TEXT, nullable=False, index=True),  # "" for a folder, and for what is no photo
    sa.Column("was", TEXT, nullable=False),  # relative to the album; "" once it is too late to undo it
    sa.Column("now", TEXT, nullable=False),
)
fetches = sa.Table(
    "fetches",
    LEDGER,
    sa.Column("source", TEXT, primary_key=True),
    sa.Column("location", TEXT, primary_key=True),
    sa.Column("sha256", TEXT, primary_key=True, index=True),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE"), primary_key=True, index=True),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("phash", TEXT, nullable=False),
    sa.Column("bytes", NUMBER, nullable=False),
    sa.Column("stamp", TEXT, nullable=False),
    *(sa.Column(name, TEXT, nullable=False) for name in ("licence", "basis", "robots")),
    sa.Column("fetched_at", TEXT, nullable=False),
    sa.Column("checked_at", TEXT, nullable=False),
    sa.Column("outcome", TEXT, nullable=False),
    sa.Column("path", TEXT, nullable=False, index=True),  # relative to the album
    sa.Column("fault", TEXT, nullable=False),  # a kind of `mien.text.photos`, "" for none
    sqlite_with_rowid=False,  # here and below: one tree instead of two, as the key is text
)
failures = sa.Table(
    "failures",
    LEDGER,
    sa.Column("source", TEXT, primary_key=True),
    sa.Column("location", TEXT, primary_key=True),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="CASCADE"), index=True),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("at", TEXT, nullable=False),
    sa.Column("times", NUMBER, nullable=False),  # of the kind "later", a page of a listing, its place among these
    sqlite_with_rowid=False,
)
source_runs = sa.Table(
    "source_runs",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("source", TEXT, nullable=False, index=True),
    sa.Column("started", TEXT, nullable=False),
    sa.Column("ended", TEXT, nullable=False),
    *(sa.Column(name, NUMBER, nullable=False) for name in ("brought", "duplicates", "known", "refused", "failed")),
    sa.Column("fault", TEXT),  # a kind of `mien.text.fetching`; null for a source that was read to its end
)
runs = sa.Table(
    "runs",
    LEDGER,
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("command", TEXT, nullable=False),
    sa.Column("date", TEXT, nullable=False),
    sa.Column("started", TEXT, nullable=False),
    sa.Column("ended", TEXT),
    sa.Column("state", TEXT, nullable=False),
    sa.Column("pid", NUMBER, nullable=False),
    sa.Column("host", TEXT, nullable=False),
)
sa.event.listen(
    runs,
    "after_create",
    sa.DDL("ALTER TABLE runs ADD COLUMN nth BIGINT GENERATED ALWAYS AS IDENTITY").execute_if(  # type: ignore[no-untyped-call]
        dialect="postgresql"
    ),
)
steps = sa.Table(
    "steps",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("started", TEXT, nullable=False),
    sa.Column("ended", TEXT),
    sa.Column("outcome", TEXT),
    sa.Column("figures", TEXT, nullable=False),  # JSON: numbers and names of versions
    sa.UniqueConstraint("run", "name"),
)
findings = sa.Table(
    "findings",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),  # in the order in which they are told
    sa.Column("step", sa.ForeignKey("steps.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("kind", TEXT, nullable=False),
    sa.Column("people", TEXT, nullable=False),  # JSON: ids, the person it is about first
    sa.Column("photos", TEXT, nullable=False),  # JSON: paths relative to the album, of these people
    sa.Column("figures", TEXT, nullable=False),  # JSON
)
promotions = sa.Table(
    "promotions",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("version", TEXT, nullable=False),
    sa.Column("at", TEXT, nullable=False),
    sa.Column("how", TEXT, nullable=False),
    sa.Column("before", TEXT),
)
events = sa.Table(
    "events",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),  # in the order in which they began
    sa.Column("at", TEXT, nullable=False),
    sa.Column("ended", TEXT),
    sa.Column("actor", TEXT, nullable=False),  # the name of a server's key, "" for the command line
    sa.Column("request", TEXT, nullable=False),  # the server's id of the request, "" for none
    sa.Column("verb", TEXT, nullable=False),
    sa.Column("person", sa.ForeignKey("people.id", ondelete="SET NULL"), index=True),  # null for none, or forgotten
    sa.Column("outcome", TEXT),  # "done", "failed" or "interrupted"; null until it is known
    sa.Column("version", TEXT),  # that it put into use
)
removals = sa.Table(
    "removals",
    LEDGER,
    sa.Column("key", TEXT, primary_key=True),  # a keyed hash of the person's name
    sa.Column("photo", TEXT, primary_key=True),  # SHA-256; "" for the person as a whole
    sa.Column("form", TEXT, nullable=False),  # a keyed hash of what all spellings of the name have in common
    sa.Column("person", sa.ForeignKey("people.id", ondelete="SET NULL"), index=True),  # null once they are forgotten
    sa.Column("at", TEXT, nullable=False),
    sa.Column("pending", TEXT),  # how, while it is not finished
    sqlite_with_rowid=False,
)
salts = sa.Table(
    "salts",
    LEDGER,
    sa.Column("purpose", TEXT, primary_key=True),
    sa.Column("salt", TEXT, nullable=False),  # random, of this album alone
)
damaged = sa.Table(
    "damaged",
    LEDGER,
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("of_table", TEXT, nullable=False),
    sa.Column("row", sa.LargeBinary, nullable=False),  # as it was found, for a human: nothing in it can be believed
)
albums = sa.Table(
    "albums",
    LEDGER,
    sa.Column("folder", TEXT, primary_key=True),  # its bytes as hex; one row, none for a ledger that lies in its album
)

# The catalog. `person` is an id of the ledger's `people`.

photos = sa.Table(
    "photos",
    CATALOG,
    sa.Column("sha256", TEXT, primary_key=True),
    sa.Column("bytes", NUMBER, nullable=False),
    sa.Column("width", NUMBER),  # these four are unknown until it was decoded
    sa.Column("height", NUMBER),
    sa.Column("format", TEXT),
    sa.Column("phash", TEXT),
    sqlite_with_rowid=False,
)
files = sa.Table(
    "files",
    CATALOG,
    sa.Column("path", TEXT, primary_key=True),  # relative to the album, forward slashes, as on disk
    sa.Column("shelf", TEXT, nullable=False, index=True),  # the first part of the path
    sa.Column("person", TEXT, nullable=False, index=True),
    sa.Column("sha256", sa.ForeignKey("photos.sha256"), nullable=False, index=True),
    sa.Column("size", NUMBER, nullable=False),
    sa.Column("mtime_ns", NUMBER, nullable=False),  # this and the next as far as 64 bits hold it
    sa.Column("ctime_ns", NUMBER),  # when the system last wrote it; null where nobody knows, and it is hashed anew
    sqlite_with_rowid=False,
)
sightings = sa.Table(
    "sightings",
    CATALOG,
    sa.Column("sha256", sa.ForeignKey("photos.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("encoder", TEXT, primary_key=True),
    sa.Column("seen_at", TEXT, nullable=False),
    sa.Column("fault", TEXT),  # a kind of `mien.text.photos`; null for a photo that could be read
    sa.Column("figures", TEXT),  # JSON, of the fault
    sa.Column("faces", NUMBER),  # how many
    sa.Column("decoder", TEXT),  # what met the fault, see `mien.vision.images.decoder`; null for no fault
    sa.Column("times", NUMBER),  # that it met this fault
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
    sa.Column("id", NUMBER, primary_key=True),
    sa.Column("sha256", TEXT, nullable=False),
    sa.Column("encoder", TEXT, nullable=False),
    sa.Column("number", NUMBER, nullable=False),  # from the left, 0 first
    *(sa.Column(side, sa.Float, nullable=False) for side in ("x0", "y0", "x1", "y1")),
    sa.Column("landmarks", sa.LargeBinary, nullable=False),  # 5x2 little-endian float32
    sa.Column("detector", TEXT, nullable=False),
    sa.Column("detector_score", sa.Float, nullable=False),
    sa.Column("turn", NUMBER, nullable=False),
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
    sa.Column("encoder", TEXT, primary_key=True),  # each encoder's own face of the person in the photo is kept
    sa.Column("face", sa.ForeignKey("faces.id", ondelete="CASCADE"), nullable=False, index=True),
    sqlite_with_rowid=False,
)
choices = sa.Table(
    "choices",
    CATALOG,
    sa.Column("person", TEXT, primary_key=True),
    sa.Column("encoder", TEXT, primary_key=True),
    sa.Column("rule", TEXT, nullable=False),  # by which the faces were chosen; no row once something has changed
    sa.Column("ground", TEXT, index=True),  # a `mien.learning.own_face.Ground`; null before there were any
    sa.Column("centre", sa.LargeBinary),  # little-endian float32, the unit mean of their faces; null without one
    sa.Column("photos", NUMBER),  # of which the centre is made
    sqlite_with_rowid=False,
)
chips = sa.Table(
    "chips",
    CATALOG,
    sa.Column("key", TEXT, primary_key=True),  # relative to aligned-images; written, of this face, at this size
    sa.Column("path", sa.ForeignKey("files.path", ondelete="SET NULL", onupdate="CASCADE"), index=True),
    sa.Column("face", sa.ForeignKey("faces.id", ondelete="SET NULL"), index=True),
    sa.Column("size", NUMBER, nullable=False),
)

# Access. Names of keys are no people's.

keys = sa.Table(
    "keys",
    ACCESS,
    sa.Column("name", TEXT, primary_key=True),  # NFC
    sa.Column("sha256", TEXT, nullable=False, unique=True),  # of the key
    sa.Column("scope", TEXT, nullable=False),
    sa.Column("created", TEXT, nullable=False),
    sa.Column("until", TEXT),  # the last day on which it is good
    sa.Column("revoked", TEXT),
    sa.Column("last_used", TEXT),  # to the minute
    sqlite_with_rowid=False,
)
replies = sa.Table(
    "replies",
    ACCESS,
    sa.Column("id", NUMBER, primary_key=True),  # in the order in which they were begun
    sa.Column("key", TEXT, nullable=False),  # the name of the key
    sa.Column("request", TEXT, nullable=False),  # SHA-256 of the idempotency key
    sa.Column("fingerprint", TEXT, nullable=False),  # SHA-256 of what was asked; "" once somebody was forgotten
    sa.Column("at", TEXT, nullable=False, index=True),
    sa.Column("holder", TEXT, nullable=False),  # which process carries it out
    sa.Column("forgotten", sa.Boolean, nullable=False),  # whether somebody was since
    sa.Column("status", NUMBER),  # of HTTP; null until it is done
    sa.Column("type", TEXT, nullable=False),
    sa.Column("body", sa.LargeBinary),  # null for one that is not kept
    sa.UniqueConstraint("key", "request"),
)
jobs = sa.Table(
    "jobs",
    ACCESS,
    sa.Column("number", NUMBER, primary_key=True),  # in the order in which they were asked for
    sa.Column("id", TEXT, nullable=False, unique=True),  # random
    sa.Column("verb", TEXT, nullable=False),
    sa.Column("key", TEXT, nullable=False),  # the name of the key
    sa.Column("options", TEXT, nullable=False),  # JSON; no person's name
    sa.Column("asked", TEXT, nullable=False),
    sa.Column("started", TEXT),
    sa.Column("ended", TEXT),
    sa.Column("state", TEXT, nullable=False),
    sa.Column("cancel", sa.Boolean, nullable=False),  # whether somebody wants it to end
    sa.Column("tries", NUMBER, nullable=False),
    sa.Column("holder", TEXT, nullable=False),  # which process runs it, "" for none
    sa.Column("pid", NUMBER),
    sa.Column("host", TEXT),
    sa.Column("forgotten", sa.Boolean, nullable=False),  # whether somebody was while it ran
    sa.Column("code", NUMBER),
    sa.Column("result", TEXT),  # JSON
    sa.Column("run", TEXT),  # of the ledger
    sa.Column("progress", TEXT),  # JSON, while it runs
)
hits = sa.Table(
    "hits",
    ACCESS,
    sa.Column("key", TEXT, primary_key=True),  # the limit, with the name of a key
    sa.Column("minute", NUMBER, primary_key=True, autoincrement=False),  # since 1970
    sa.Column("requests", NUMBER, nullable=False),
    sqlite_with_rowid=False,
)
