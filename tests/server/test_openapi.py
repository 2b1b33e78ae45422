"""Whatever the OpenAPI offers is asked by schemathesis, and answered as it says."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from openapi_spec_validator import OpenAPIV31SpecValidator
from schemathesis import GenerationMode
from schemathesis.checks import CHECKS as NAMES
from schemathesis.checks import load_all_checks

if TYPE_CHECKING:
    from conftest import Painted, Served

EXAMPLES = 8
"""Requests for each operation, of those that fit its description and of those that do not each."""

BEYOND = frozenset({"positive_data_acceptance", "ignored_auth"})
"""Checks of which the first does not know that bytes may fit a description and be no picture; the doors have tests of
their own."""


def test_it_is_valid(untaught: Served) -> None:
    said = untaught.client.get("/v1/openapi.json").json()
    assert said["openapi"].startswith("3.1")
    OpenAPIV31SpecValidator(said).validate()


def test_every_operation_answers_as_it_says(taught: Painted, serve: Any) -> None:
    (taught.folder / "mien.toml").write_text("[server]\nper_minute = 0\n")
    with serve(taught) as served:
        ask_everything(served)


def ask_everything(served: Served) -> None:
    load_all_checks()
    schema = schemathesis.openapi.from_asgi("/v1/openapi.json", served.client.app)
    schema.config.generation.with_security_parameters = False  # the headers below have the key, whatever was made up
    checks = [check for check in NAMES.get_all() if check.__name__ not in BEYOND]
    headers = served.headers()
    asked = 0
    for found in schema.get_all_operations():
        operation: Any = found.ok()  # type: ignore[union-attr]  # none of ours is invalid
        for mode in GenerationMode:

            @settings(
                max_examples=EXAMPLES,
                deadline=None,
                derandomize=True,
                database=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            )
            @given(case=operation.as_strategy(generation_mode=mode))
            def ask(case: Any) -> None:
                nonlocal asked
                asked += 1
                case.call_and_validate(headers=headers, checks=checks)

            with suppress(Unsatisfiable):  # an operation without anything to say cannot be asked otherwise
                ask()
    assert asked > EXAMPLES
