"""encoders: which encoders there are on this machine; one is added, or removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mien.cli import completing
from mien.cli.albums import Json, asked, require_yes
from mien.cli.console import Reporter, entry, fit, paint, printable, say, say_json, table, widest
from mien.cli.place import opened, place
from mien.errors import AlbumError, MienError, StorageError, UsageError
from mien.text.encoders import EncoderKind
from mien.text.shell import command
from mien.text.words import count, listed, percent

if TYPE_CHECKING:
    from mien import Album
    from mien.encoders.description import Description
    from mien.encoders.listing import ListedEncoder
    from mien.learning.figures import Share
    from mien.stages.compare_encoders import ComparedEncoders

app = typer.Typer(no_args_is_help=False, rich_markup_mode=None)

_LICENCE = 24
"""Cells of a licence in the table; `add` and --json give it whole."""


@app.callback(invoke_without_command=True)
def encoders(context: typer.Context, as_json: Json = False) -> None:
    """List the encoders that there are, or add one, or remove one. No album is needed."""
    if context.invoked_subcommand is None:
        list_all(context, as_json)


@app.command(name="list", hidden=True)
def list_all(context: typer.Context, as_json: Json = False) -> None:
    """What `mien encoders` does by itself."""
    from mien import list_encoders

    album = _album(context)
    found = album.encoders() if album else list_encoders()
    if as_json:
        say_json([one.to_json() for one in found])
    else:
        _print_encoders(found)


@app.command(name="add", short_help="Fetch an encoder, check it, and keep it for all albums.")
def add(
    context: typer.Context,
    encoder: Annotated[
        str,
        typer.Argument(
            metavar="NAME|FILE.toml",
            help="One that mien knows, or your description.",
            autocompletion=completing.encoders,
        ),
    ],
    files: Annotated[
        Path | None, typer.Option("--from", metavar="PATH", help="Its file, or the folder in which its files lie.")
    ] = None,
    mirror: Annotated[str, typer.Option(metavar="URL", help="Fetch its files from below this address.")] = "",
    yes: Annotated[bool, typer.Option("--yes", help="Accept its licence, and do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Fetch an encoder, or take its files; verify them, make one network of them, and keep it for all albums."""
    from mien import add_encoder, describe_encoder

    if files is not None and mirror:
        raise UsageError("--from and --mirror", "exclude each other", "Give one of them.")
    album = _album(context)
    commercial = album.settings.commercial if album else False
    description = describe_encoder(encoder)
    description.require_licence(commercial)
    if not as_json:
        _print_description(description, files, mirror)
    if not yes:
        if as_json or not asked():
            raise UsageError(
                f"The encoder {description.name}",
                f"would be added under its licence, {description.licence}, and nobody is there to ask",
                "Say --yes if you accept the licence.",
            )
        require_yes("Add it, and accept its licence?")
    with Reporter(notes=False) as progress:
        added = add_encoder(encoder, files, mirror, commercial=commercial, progress=progress)
    if as_json:
        say_json(added.to_json())
        return
    one = added.encoder
    where = str(one.folder or "the package of mien")
    if added.before:
        entry("kept", f"{one.name} was there already, in {where}")
    else:
        entry("added", f"{one.name}, in {where}")
        entry("sha256", one.network("fp32").sha256)
    if one.description.cosines is None:
        _measure(context, album, one.name)
    entry("next", command(album.folder if album else Path("ALBUM"), "train", "--encoder", one.name))


def _measure(context: typer.Context, album: Album | None, name: str) -> None:
    """Says how sure an album can be of an encoder whose cosines nobody measured."""
    if album is None:
        entry("cosines", "nobody measured them for this encoder, so each album measures its own people")
        return
    entry("measuring", "nobody measured its cosines, so it looks at this album's photos; Ctrl-C leaves it added")
    try:
        with Reporter(notes=False) as progress:
            measured = opened(context, progress).measure_encoder(name)
    except MienError as error:  # the encoder was added all the same
        entry("cosines", printable(str(error)), "33")
    else:
        entry("cosines", f"{measured.finding.why}. {measured.finding.remedy}", "33")


@app.command(name="remove", short_help="Remove an encoder that you added.")
def remove(
    encoder: Annotated[
        str, typer.Argument(metavar="NAME", help="An encoder that you added.", autocompletion=completing.encoders)
    ],
) -> None:
    """Remove an encoder that you added. Models made with it cannot answer until it is added again."""
    from mien import remove_encoder

    remove_encoder(encoder)
    entry("removed", encoder)
    entry("models", f"those made with {printable(encoder)} are kept, and cannot answer until it is added again")


def _album(context: typer.Context) -> Album | None:
    """The album, None where the current folder lies in none and -C names none."""
    from mien import Album

    here = place(context)
    if here.named is not None:
        return opened(context)
    try:
        return opened(context) if Album.is_at(here.folder) else None
    except (AlbumError, StorageError):  # a mien.toml that cannot be read is no reason not to list encoders
        return None


def _print_encoders(found: tuple[ListedEncoder, ...]) -> None:
    wide = widest(one.name for one in found)
    rows = []
    for one in found:
        mark = paint("*", "32") if one.in_use else ">" if one.chosen else " "
        said = one.description
        rows.append(
            [
                f"{mark} {fit(one.name, wide)}",
                f"{one.here:<14}",
                fit(said.licence if said else "-", _LICENCE),
                ("yes" if said.commercial else "no") if said else "-",
                f"{said.dimensions if said else '-'}",
                f"{one.bytes / 1e6:.1f} MB" if one.bytes else "-",
                f"{', '.join(one.precisions) or '-':<10}",
                ("measured" if said.cosines else "by album") if said else "-",
            ]
        )
    table(["  encoder", "here", "licence", "commercial", ">numbers", ">    size", "precision", "cosines"], rows)
    say()
    if any(one.in_use for one in found):
        entry("*", "the album's model was made with it")
    if any(one.chosen and not one.in_use for one in found):
        entry(">", "the album's settings name it")
    for number, one in enumerate([one for one in found if one.add]):
        files = one.description.files if one.description else ()
        brought = [file.file_name for file in files if not file.url]
        entry("" if number else "to add", f"{one.add}{f'   (you bring {listed(brought)})' if brought else ''}")


def _print_description(description: Description, files: Path | None, mirror: str) -> None:
    entry("encoder", f"{description.name}: {description.title}" if description.title else description.name)
    if description.origin:
        entry("origin", description.origin)
    entry("licence", description.licence)
    entry("commercial", "allowed" if description.commercial else "not allowed", "" if description.commercial else "33")
    entry("trained on", description.trained_on or "not known")
    if description.note:
        entry("note", description.note)
    names = [file.file_name for file in description.files]
    size = f", {description.bytes / 1e6:.1f} MB" if description.bytes else ""
    if names:
        entry("files", f"{listed(names)}{size}")
    places = dict.fromkeys(file.url.rpartition("/")[0] for file in description.files if file.url)
    if where := str(files) if files else mirror or listed(places):
        entry("from", where)


@app.command(name="compare", short_help="Compare encoders on this album's own photos.")
def compare(
    context: typer.Context,
    names: Annotated[
        list[str],
        typer.Argument(
            metavar="NAME...", help="Encoders that mien encoders lists as here.", autocompletion=completing.encoders
        ),
    ],
    as_json: Json = False,
) -> None:
    """Compare the album's encoder with others on the album's own photos: a table and a recommendation. Each photo is
    asked about by a head that was fitted without it. Nothing is changed; what is seen is remembered."""
    with Reporter(notes=as_json) as progress:
        found = opened(context, progress).compare_encoders(names)
    if as_json:
        say_json(found.to_json())
        return
    _print_compared(found)
    for said in found.said:
        say(said.why)
        if said.kind == EncoderKind.BETTER:
            name = str(said.figures["name"])
            entry("change over", command(place(context).folder, "train", "--encoder", name))


@app.command(name="quantise", short_help="Make an encoder of 8-bit numbers by this album's faces.")
def quantise(
    context: typer.Context,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="An encoder that you added.", autocompletion=completing.encoders)
    ],
    as_json: Json = False,
) -> None:
    """Make an encoder of 8-bit numbers by this album's own faces. It is kept if the album's figures do not fall beyond
    chance and it is faster on this processor."""
    with Reporter(notes=as_json) as progress:
        made = opened(context, progress).quantise(name)
    if as_json:
        say_json(made.to_json())
        return
    _print_compared(made.compared)
    say(made.said.why)
    if made.kept:
        entry("to use it", 'write precision = "int8" into mien.toml and train')


def _print_compared(found: ComparedEncoders) -> None:
    names = [row.name if row.precision == "fp32" else f"{row.name} {row.precision}" for row in found.rows]
    rows = []
    for name, row in zip(names, found.rows, strict=True):
        shares = (row.measured.top1, row.measured.tpir_at_fpir_1, row.measured.tpir_at_fpir_01)
        off = 100 * sum((row.measured.ece_mated, row.measured.ece_non_mated)) / 2
        figures = [f"{off:.1f} %", f"{row.milliseconds:.1f}", f"{row.size / 1e6:.1f} MB"]
        rows.append([name, *(f"{_with_interval(share):<21}" for share in shares), *figures])
    table(["encoder", "top-1", "TPIR, FPIR 1 %", "TPIR, FPIR 0.1 %", ">  ECE", ">ms/face", ">   size"], rows)
    first = found.rows[0]
    say(
        f"{count(first.measured.top1.of, 'photo')} of the album, each asked about by a head fitted without it; "
        "in brackets the 95 % interval. ms/face: CPU time of the network alone, on this machine."
    )
    say()


def _with_interval(share: Share) -> str:
    low, high = share.interval
    return f"{percent(share.value)} ({100 * low:.1f}-{100 * high:.1f})"
