"""What the published clients of DeepStack and CodeProject.AI get of a server, printed as JSON.

Run by test_deepstack_clients.py with the clients in its path: `deepstack_clients.py HOST PORT KEY NEW KNOWN NONE`, the
last three being pictures: of somebody to register as Zoë, of somebody who is enrolled, and of nobody.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any


def main(host: str, port: str, key: str, *pictures: str) -> dict[str, Any]:
    """What each client's public methods return, or raise."""
    new, known, none = (Path(picture).read_bytes() for picture in pictures)
    for name in ("matplotlib", "matplotlib.pyplot"):  # with which a client draws, if it is asked to
        sys.modules[name] = types.ModuleType(name)
    sdk = importlib.import_module("deepstack_sdk")
    python = importlib.import_module("deepstack.core")
    project = importlib.import_module("codeprojectai.core")

    face = sdk.Face(sdk.ServerConfig(f"http://{host}:{port}", api_key=key))
    said: dict[str, Any] = {
        "sdk": {
            "detect": len(face.detectFace(known)),
            "nobody": len(face.detectFace(none)) + len(face.recognizeFace(none)),
            "before": [one.userid for one in face.recognizeFace(new)],
            "register": face.registerFace([new, pictures[0]], "Zoë"),
            "recognize": [(one.userid, one.confidence > 0.5, one.x_min < one.x_max) for one in face.recognizeFace(new)],
            "list": list(face.listFaces().list),
            "delete": face.deleteFace("Zoë"),
            "after": [one.userid for one in face.recognizeFace(new)],
            "no face": _raised(lambda: face.registerFace([none], "Zoë")),
        }
    }
    clients = {
        "deepstack-python": python.DeepstackFace(ip=host, port=int(port), api_key=key, timeout=60),
        "codeproject": project.CodeProjectAIFace(ip=host, port=int(port), timeout=60),
    }
    for name, client in clients.items():
        said[name] = {
            "detect": len(client.detect(known)),
            "nobody": client.recognize(none) + client.detect(none),
            "register": client.register(f"Zoë {name}", new),
            "recognize": [*python.get_recognized_faces(client.recognize(new))],
            "list": client.get_registered_faces(),
            "no face": _raised(lambda client=client: client.register("Nobody", none)),  # type: ignore[misc]
        }
        face.deleteFace(f"Zoë {name}")
    wrong = python.DeepstackFace(ip=host, port=int(port), api_key="wrong", timeout=60)
    said["wrong key"] = _raised(lambda: wrong.recognize(known))
    return said


def _raised(call: Callable[[], object]) -> str:
    try:
        return f"returned {call()}"
    except Exception as error:  # whichever the client has
        return str(error)


if __name__ == "__main__":
    with contextlib.redirect_stdout(sys.stderr):  # a client prints what it gets
        told = main(*sys.argv[1:])
    print(json.dumps(told))
