"""What `from mien import ...` offers: these names, imported when first used, all of them explained."""

from __future__ import annotations

import inspect
import subprocess
import sys
from importlib import import_module
from types import FunctionType

import pytest

import mien

HEAVY = {"numpy", "cv2", "onnxruntime", "onnx", "PIL", "sqlalchemy", "pydantic", "typer", "rich", "filelock"}


def test_every_public_name_is_there_and_is_itself() -> None:
    assert mien.__all__ == sorted(mien.__all__)
    for name in mien.__all__:
        assert getattr(mien, name) is getattr(import_module(mien._HOMES[name]), name)
        assert name in dir(mien)
    assert set(mien._HOMES) == set(mien.__all__)
    assert mien.__version__


def test_what_is_not_there_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="Nobody"):
        _ = mien.Nobody


def test_a_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from mien import *", names)
    assert set(mien.__all__) <= set(names)


@pytest.mark.parametrize(
    ("code", "heavy"),
    [
        ("import mien", set()),
        ("import mien; mien.__version__; dir(mien)", set()),
        ("from mien import MienError", set()),
        ("from mien import Face", {"numpy"}),
        ("from mien import Album", HEAVY - {"onnxruntime", "onnx", "sqlalchemy", "typer", "rich", "filelock"}),
    ],
)
def test_a_name_costs_no_more_than_it_must(code: str, heavy: set[str]) -> None:
    ask = f"{code}\nimport sys\nprint(*{{name.partition('.')[0] for name in sys.modules}})"
    run = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert set(run.stdout.split()) & HEAVY <= heavy


@pytest.mark.parametrize("name", mien.__all__)
def test_every_public_name_and_method_is_explained(name: str) -> None:
    thing = getattr(mien, name)
    assert thing.__doc__ and not thing.__doc__.startswith(f"{name}("), f"{name} is not explained"
    for attribute, member in vars(thing).items():
        function = member.fget if isinstance(member, property) else getattr(member, "__func__", member)
        if isinstance(function, FunctionType) and not attribute.startswith("_"):
            assert inspect.getdoc(function), f"{name}.{attribute} is not explained"
            assert inspect.signature(function).return_annotation is not inspect.Signature.empty
