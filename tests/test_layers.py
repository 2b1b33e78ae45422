"""The house keeps its shape: who imports whom in src/mien, read from the source without running it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / "src/mien"

# The plan of the house, ground floor first. A room is a module or a package directly under mien; "mien" is the
# package's own __init__. A room may import from floors below and, without going in circles, from its own; never from
# above. A new room is entered here, and in docs/architecture.md, which draws the same bands.
FLOORS: tuple[frozenset[str], ...] = (
    frozenset({"text", "errors", "types", "servers"}),
    frozenset({"protocols", "settings"}),
    frozenset({"vision", "learning", "engines", "web", "networks", "parsing"}),
    frozenset({"storage"}),
    frozenset({"encoders"}),
    frozenset({"seeing", "sources"}),
    frozenset({"records", "registry"}),
    frozenset({"open_album", "intake", "recogniser", "remembering", "doubts"}),
    frozenset({"stages"}),
    frozenset({"report"}),
    frozenset({"pipeline"}),
    frozenset({"wiring"}),
    frozenset({"album", "asking", "testing", "mien"}),
    frozenset({"server"}),
    frozenset({"compat"}),
    frozenset({"cli"}),
    frozenset({"__main__"}),
)

TOOLS = frozenset({"seeing.detectors", "seeing.landmarkers", "seeing.encoders", "learning.heads", "sources"})
"""One foreign library or method a file; no file of these rooms knows another."""

ALONE = TOOLS | {"stages"}
"""Rooms whose files do not import each other."""

SHARED = frozenset({"mien.sources.common", "mien.sources.lists", "mien.sources.patterns", "mien.sources.table"})
"""Files of such rooms that hold what the others there have in common, and may be imported by them."""

LATE = frozenset(
    {
        "sklearn",
        "ray",
        "matplotlib",
        "fastapi",
        "scipy",
        "onnx",
        "sqlalchemy",
        "jinja2",
        "pi_heif",
        "s3fs",
        "psycopg",
        "dask",
        "distributed",
        "faiss",
    }
)
"""Slow to import or optional: imported inside the function that needs them, so that every command starts at once."""

AT_ONCE = {"records": frozenset({"sqlalchemy"}), "server": frozenset({"fastapi"})}
"""Rooms that are themselves imported late and may name these libraries at their top."""

HOMES = {
    "sqlalchemy": frozenset({"records"}),
    "httpx": frozenset({"web"}),
    "httpcore": frozenset({"web"}),
    "protego": frozenset({"parsing"}),
    "bs4": frozenset({"parsing"}),
    "feedparser": frozenset({"parsing"}),
    "fsspec": frozenset({"sources", "storage"}),
    "psycopg": frozenset({"records"}),
    "jinja2": frozenset({"report"}),
    "dask": frozenset({"engines"}),
    "distributed": frozenset({"engines"}),
    "fastapi": frozenset({"server"}),
    "starlette": frozenset({"server"}),
    "uvicorn": frozenset({"server"}),
    "faiss": frozenset({"learning"}),
}
"""Libraries that few rooms know."""

NEVER = frozenset({"pickle", "marshal", "shelve", "dill", "joblib", "cloudpickle", "dlib", "torch", "tensorflow"})
"""Loaders that run code out of files, and libraries that mien exists to do without."""

UNSAFE_CALLS = frozenset({"eval", "exec", "__import__", "os.system", "os.popen"})
UNSAFE_ARGUMENTS = frozenset({"shell", "allow_pickle"})


class Import(NamedTuple):
    line: int
    target: str
    """Dotted name of a module; a name imported from a module is given with it where it is a module itself."""
    at_once: bool
    """Whether importing the file imports it: not inside a function, not for type checkers only."""


def modules(package: Path) -> dict[str, Path]:
    """Dotted name -> file of every module of `package`; the package's root is called by the folder's name."""
    files = sorted(package.rglob("*.py"))
    names = (file.relative_to(package.parent).with_suffix("").parts for file in files)
    return {
        ".".join(parts[:-1] if parts[-1] == "__init__" else parts): f for parts, f in zip(names, files, strict=True)
    }


def room(module: str) -> str:
    """The room of a module: a folder or file directly under mien, or one of `TOOLS`, which stand in other rooms."""
    parts = module.split(".")[1:]
    within = ".".join(parts[:2])
    return within if within in TOOLS else parts[0] if parts else module


def imports(name: str, file: Path, tree: ast.Module, known: dict[str, Path]) -> Iterator[Import]:
    """Every import of a file, wherever in it."""
    package = name if file.name == "__init__.py" else name.rpartition(".")[0]

    def walk(node: ast.AST, at_once: bool) -> Iterator[Import]:
        match node:
            case ast.Import():
                for alias in node.names:
                    yield Import(node.lineno, alias.name, at_once)
            case ast.ImportFrom():
                above = package.split(".")[: len(package.split(".")) - node.level + 1] if node.level else []
                base = ".".join([*above, *([node.module] if node.module else [])])
                for alias in node.names:
                    full = f"{base}.{alias.name}"
                    yield Import(node.lineno, full if full in known else base, at_once)
            case ast.If(test=ast.Name(id="TYPE_CHECKING") | ast.Attribute(attr="TYPE_CHECKING")):
                for statement in node.body:
                    yield from walk(statement, False)
                for statement in node.orelse:
                    yield from walk(statement, at_once)
            case _:
                inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
                for child in ast.iter_child_nodes(node):
                    yield from walk(child, at_once and not inside)

    yield from walk(tree, True)


def faults_of_import(importer: str, found: Import, known: dict[str, Path]) -> Iterator[str]:
    here, library = room(importer), found.target.split(".")[0]
    if library != "mien":
        if library in NEVER:
            yield f"imports {library}, which mien never uses"
        if library in HOMES and here not in HOMES[library]:
            yield f"imports {library}, which only {' and '.join(sorted(HOMES[library]))} may know"
        if library in LATE and found.at_once and library not in AT_ONCE.get(here, frozenset()):
            yield f"imports {library} at its top: import it inside the function that needs it"
        return
    there = room(found.target)
    if found.target not in known:
        yield f"imports {found.target}, which does not exist"
    elif floor(there) > floor(here):
        yield f"imports {found.target}, which stands on a floor above"
    elif here in ALONE and there == here and found.target not in {importer, f"mien.{here}", *SHARED}:
        yield f"imports {found.target}: files of {here} do not know each other"
    elif here in TOOLS and there in TOOLS and there != here:
        yield f"imports {found.target}: tools do not know each other"
    elif here == "stages" and there in TOOLS:
        yield f"imports {found.target}: a stage is handed its tools and knows none of them"


def faults_of_calls(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            for alias in node.names:
                if f"os.{alias.name}" in UNSAFE_CALLS:
                    yield node.lineno, f"imports os.{alias.name}"
        if not isinstance(node, ast.Call):
            continue
        if ast.unparse(node.func) in UNSAFE_CALLS:
            yield node.lineno, f"calls {ast.unparse(node.func)}"
        for keyword in node.keywords:
            if keyword.arg in UNSAFE_ARGUMENTS and ast.unparse(keyword.value) != "False":
                yield node.lineno, f"passes {keyword.arg}={ast.unparse(keyword.value)}"


def floor(name: str) -> int:
    """Which floor a room is on; one above the roof for a room without a place, which is reported by itself."""
    return next((number for number, rooms in enumerate(FLOORS) if name.split(".")[0] in rooms), len(FLOORS))


def faults(package: Path) -> list[str]:
    """Everything in `package` that breaks the plan, as lines "file:line: what"."""
    known = modules(package)
    found: list[str] = []
    graph: dict[str, set[str]] = {}
    for name, file in known.items():
        where = file.relative_to(package.parent).as_posix()
        tree = ast.parse(file.read_text("utf-8"), str(file))
        if floor(room(name)) == len(FLOORS):
            found.append(f"{where}:1: stands on no floor: enter {room(name)!r} in FLOORS of tests/test_layers.py")
        for each in imports(name, file, tree, known):
            found += [f"{where}:{each.line}: {fault}" for fault in faults_of_import(name, each, known)]
            if each.target in known and each.target != name:
                graph.setdefault(name, set()).add(each.target)
        found += [f"{where}:{line}: {fault}" for line, fault in faults_of_calls(tree)]
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        found.append(f"{package.name}: imports in a circle: {' -> '.join(reversed(error.args[1]))}")
    return list(dict.fromkeys(found))  # a line that imports two names is one fault


def test_the_house_keeps_its_shape() -> None:
    found = faults(PACKAGE)
    assert not found, "\n".join(found)


def test_the_bands_are_those_of_the_page() -> None:
    page = (PACKAGE.parent.parent / "docs/architecture.md").read_text("utf-8")
    _, _, section = page.partition("## Who may know whom")
    block = section.split("```text\n")[1].split("```")[0]
    assert [frozenset(line.split()) for line in block.splitlines()] == list(reversed(FLOORS))


def test_every_module_is_seen() -> None:
    assert {"mien", "mien.types", "mien.vision", "mien.cli"} <= set(modules(PACKAGE))


def build(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "mien"
    for name, text in {"__init__.py": "", "types.py": "", "album.py": "", **files}.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(text)
    return package


GOOD = {
    "protocols.py": "import numpy as np\nfrom mien.types import Face\n",
    "vision/__init__.py": "",
    "vision/images.py": "from .. import protocols\nfrom mien.vision import __name__\n",
    "vision/phash.py": "from mien.vision import images\n",
    "records/__init__.py": "",
    "records/catalog.py": "import sqlalchemy\n",
    "seeing/__init__.py": "",
    "seeing/detectors/__init__.py": "",
    "sources/__init__.py": "",
    "sources/common.py": "",
    "sources/folder.py": "from mien.sources import common\n",
    "sources/feed.py": "",
    "seeing/detectors/one.py": "from mien.vision import images\nfrom mien import types\ndef f():\n    import onnx\n",
    "wiring.py": "import typing\nif typing.TYPE_CHECKING:\n    import onnx\nimport mien.seeing.detectors.one",
    "cli/__init__.py": "from mien import __version__\nfrom mien.album import Album\nmodel.exec()\nrun(shell=False)\n",
}


def test_good_house_has_no_faults(tmp_path: Path) -> None:
    assert faults(build(tmp_path, GOOD)) == []


@pytest.mark.parametrize(
    ("file", "text", "fault"),
    [
        ("types.py", "import mien.album", "a floor above"),
        ("types.py", "from mien import album", "a floor above"),
        ("types.py", "from . import album", "a floor above"),
        ("types.py", "from mien import __version__", "a floor above"),
        ("vision/images.py", "from ..album import Album", "a floor above"),
        ("vision/images.py", "def f():\n    from mien.album import Album", "a floor above"),
        ("vision/images.py", "if TYPE_CHECKING:\n    from mien.album import Album", "a floor above"),
        ("types.py", "import mien.missing", "does not exist"),
        ("attic.py", "", "stands on no floor: enter 'attic'"),
        ("vision/images.py", "import mien.vision.phash", "in a circle"),
        ("stages/align.py", "from mien.seeing.detectors import one", "a stage is handed its tools"),
        (
            "stages/align.py",
            "def f():\n    from mien.seeing.detectors.one import Detector",
            "a stage is handed its tools",
        ),
        ("seeing/detectors/two.py", "from .one import f", "files of seeing.detectors do not know each other"),
        ("sources/common.py", "import mien.sources.feed", "files of sources do not know each other"),
        ("seeing/encoders/two.py", "import mien.seeing.detectors.one", "tools do not know each other"),
        ("vision/images.py", "import scipy.optimize", "imports scipy at its top"),
        ("vision/images.py", "class A:\n    from onnx import helper", "imports onnx at its top"),
        ("vision/images.py", "try:\n    import pi_heif\nexcept ImportError:\n    pass", "pi_heif at its top"),
        ("album.py", "def f():\n    import sqlalchemy", "only records may know"),
        ("album.py", "def f():\n    from fastapi import FastAPI", "only server may know"),
        ("album.py", "def f():\n    import pickle", "never uses"),
        ("album.py", "from joblib import load", "never uses"),
        ("album.py", "eval('1')", "calls eval"),
        ("album.py", "import os\nos.system('ls')", "calls os.system"),
        ("album.py", "from os import system", "imports os.system"),
        ("album.py", "subprocess.run('ls', shell=True)", "passes shell=True"),
        ("album.py", "np.load('x', allow_pickle=really)", "passes allow_pickle=really"),
    ],
)
def test_bad_house_is_caught(tmp_path: Path, file: str, text: str, fault: str) -> None:
    found = faults(build(tmp_path, {**GOOD, file: text}))
    assert len(found) == 1, found
    assert fault in found[0] and file.split("/")[0].removesuffix(".py") in found[0]
