"""docs/serving.md, "People, models and jobs": every example by curl is sent as it is written."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from mien.settings import ServerSettings

if TYPE_CHECKING:
    from conftest import Served

PAGE = (Path(__file__).resolve().parents[2] / "docs/serving.md").read_text("utf-8")
SECTION = PAGE.partition("\n## People, models and jobs\n")[2].partition("\n## ")[0]
ELSE = "Passer-by"


def curl(served: Served, line: str, known: dict[str, str]) -> Any:
    """The answer to a request as curl would send it."""
    words = [re.sub(r"\$(\w+)", lambda found: known[found[1]], word) for word in shlex.split(line)]
    assert words.pop(0) == "curl"
    headers, form, method, body, url = {}, [], "", None, ""
    while words:
        match words.pop(0):
            case "-H":
                name, value = words.pop(0).split(": ", 1)
                headers[name] = value
            case "-X":
                method = words.pop(0)
            case "-d":
                body = words.pop(0).encode()
            case "--data-binary":
                body = picture(served, words.pop(0))
            case "-F":
                name, file = words.pop(0).split("=", 1)
                form.append((name, picture(served, file)))
            case "-o":
                words.pop(0)
            case "-N":
                pass
            case other:
                assert not other.startswith("-"), f"curl {other}"
                url = other
    address = urlsplit(url)
    assert f"{address.scheme}://{address.netloc}" == known["MIEN"]
    given: dict[str, Any] = {"files": form} if form else {"content": body} if body else {}
    path = f"{address.path}{'?' if address.query else ''}{address.query}"
    return served.client.request(method or ("POST" if given else "GET"), path, headers=headers, **given)


def picture(served: Served, word: str) -> bytes:
    """The bytes of a file of an example, such as @freya-1.png: a photo of that person."""
    name = word.removeprefix("@")
    person = name.partition("-")[0].removesuffix(".png").title()
    file = served.painted.folder.parent / "asked" / name
    return served.painted.paint(file, ELSE if person == "Else" else person).read_bytes()


def test_every_setting_of_the_server_is_in_the_table() -> None:
    table = PAGE.partition("\n## Settings\n")[2].partition("\n## ")[0]
    rows = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", table, re.MULTILINE))
    fields = ServerSettings.model_fields
    assert list(rows) == list(fields)
    told = {None: "none", (): "`[]`", True: "`true`", False: "`false`"}
    for key, field in fields.items():
        default = field.default
        plain = default is None or isinstance(default, bool | tuple)
        assert rows[key] == (told[default] if plain else f"`{json.dumps(default)}`"), key


def test_an_upload_that_is_sent_again_is_answered_from_what_was_kept(served: Served) -> None:
    (line,) = re.findall(r"^    (curl .*Idempotency-Key.*)$", SECTION, re.MULTILINE)
    known = {"MIEN": "http://127.0.0.1:8000", "KEY": served.keys["admin"]}
    first, again = curl(served, line, known), curl(served, line, known)
    assert first.status_code == 201 and "idempotent-replay" not in first.headers
    assert (again.headers["idempotent-replay"], again.json()) == ("true", first.json())


def test_the_examples_do_what_they_say(served: Served) -> None:
    painted, house = served.painted, served.house
    house.jobs.program = (sys.executable, str(Path(__file__).with_name("painted_job.py")))
    painted.photo("Ada/ada-4.png")
    first, second = painted.open().version or "", painted.open().train().version
    house.resident.refresh()
    (photo, *_) = painted.open().photos_of("Ada")
    known = {"MIEN": "http://127.0.0.1:8000", "KEY": served.keys["admin"], "PHOTO": photo.sha256}
    known |= {"V1": first, "V2": second}
    lines = re.findall(r"^    (curl .*)$", SECTION, re.MULTILINE)
    assert len(lines) > 25
    for line in lines:
        if "/models/$V1" in line and "DELETE" in line:  # by then another version is in use
            known["V1"] = next(one.version for one in painted.open().models() if not one.in_use)
        answer = curl(served, line, known)
        assert answer.status_code < 300, f"{line}: {answer.text}"
        if "/v1/jobs" in line and answer.status_code == 202:
            known["JOB"] = answer.json()["id"]
    people = [one.person for one in painted.open().people()]
    assert people == ["Ada", "Bo", "Cy"]
