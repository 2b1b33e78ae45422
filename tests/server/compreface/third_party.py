"""Calls every public method of `compreface-sdk-python` 1.0.6, as `official.py` does those of the official client."""

from __future__ import annotations

import asyncio
import base64
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from compare import CompareFace  # type: ignore

address, key, ada, second = sys.argv[1:]


def tell(name: str, answer: Any) -> None:
    print(json.dumps({"call": name, "answer": answer}, default=str), flush=True)


async def every_call(kind: str) -> None:
    """Every method, of the "sync" or the "async" services."""
    client = CompareFace(*address.rsplit(":", 1))
    init = "init_async" if kind == "async" else "init"
    faces, detection, verification = (
        getattr(client, f"{init}_{name}_service")(key) for name in ("recognition", "detect", "verify")
    )

    for service in (faces, detection, verification):
        service._client.timeout = 300  # a machine may be busy

    async def call(service: Any, method: str, *given: Any, **named: Any) -> Any:
        answer = getattr(service, method)(*given, **named)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, str):
            answer = json.loads(answer) if answer.startswith(("{", "[")) else answer
        tell(f"{kind} {method}", answer)
        return answer

    text = base64.b64encode(Path(ada).read_bytes()).decode()
    name = f"Zoë {kind} & Co"
    await call(faces, "add_a_subject", name)
    await call(faces, "rename_a_subject", name, f"{name} 2")
    await call(faces, "list_all_subjects")
    await call(faces, "delete_a_subject", f"{name} 2")
    first = (await call(faces, "add_a_img", name, ada))["image_id"]
    await call(faces, "add_a_img_by_64", name, base64.b64encode(Path(second).read_bytes()).decode(), 0.8)
    listed = await call(faces, "list_saved_img_subject", 0, 10, name)
    await call(faces, "list_saved_img_subject")
    await call(faces, "recognize", ada)
    await call(faces, "recognize_by_64", text, 1, 0.8, 2, "landmarks", True)
    await call(faces, "verify", ada, first)
    await call(faces, "verify_by_64", text, first)
    with tempfile.TemporaryDirectory() as folder:
        for method in ("download_a_img", "direct_download_img"):
            where = Path(folder, method)
            await call(faces, method, first, str(where))
            files = [one.read_bytes() for one in Path(folder).rglob("*") if one.is_file()]
            tell(f"{kind} {method} bytes", files[-1:] == [Path(ada).read_bytes()])
            for one in [one for one in Path(folder).rglob("*") if one.is_file()]:
                one.unlink()
    await call(faces, "delete_a_img", first)
    await call(faces, "delete_multiple_img", [one["image_id"] for one in listed["faces"]])
    await call(faces, "delete_saved_img_by_subject", name)
    await call(detection, "detect", ada)
    await call(detection, "detect_by_64", text, 1, 0.8, "landmarks", True)
    await call(verification, "verify", ada, second)
    await call(verification, "verify_by_64", text, text)
    if kind == "async":
        await call(faces, "delete_all_subjects")


for each in ("sync", "async"):
    asyncio.run(every_call(each))
