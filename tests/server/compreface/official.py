"""Calls every public method of `compreface-sdk` 0.6.0, and prints what each returned, a JSON object a line.

    official.py ADDRESS KEY ADA STRANGER

It runs apart from the tests, with the folder of the clients as its PYTHONPATH. The two are files of pictures.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from compreface import CompreFace  # type: ignore

address, key, ada, stranger = sys.argv[1:]
host, _, port = address.rpartition(":")


def tell(name: str, answer: Any) -> None:
    print(json.dumps({"call": name, "answer": answer}), flush=True)


OPTIONS = {"limit": 0, "det_prob_threshold": 0.8, "prediction_count": 2}
SEEING = {"limit": 0, "det_prob_threshold": 0.8, "face_plugins": "calculator,age,landmarks", "status": True}

client = CompreFace(host, port, {})
recognition = client.init_face_recognition(key)
subjects, faces = recognition.get_subjects(), recognition.get_face_collection()

tell("subjects.add", subjects.add("Zoë"))
tell("subjects.list", subjects.list())
tell("subjects.update", subjects.update("Zoë", "Zoë & Co"))
tell("subjects.list again", subjects.list())
tell("subjects.delete", subjects.delete("Zoë & Co"))
tell("subjects.delete again", subjects.delete("Zoë & Co"))
tell("faces.add", faces.add(ada, "Ada Lovelace", {"det_prob_threshold": 0.8}))
tell("faces.add bytes", faces.add(Path(ada).read_bytes(), "Tom & Co"))
tell("recognize", recognition.recognize(ada))
tell("recognize options", recognition.recognize(Path(ada).read_bytes(), {**OPTIONS, **SEEING}))
tell("recognize stranger", recognition.recognize(stranger, OPTIONS))
listed = faces.list()
tell("faces.list", listed)
image_id = next(one["image_id"] for one in listed["faces"] if one["subject"] == "Tom & Co")
tell("faces.verify", faces.verify(ada, image_id, {"limit": 0, "det_prob_threshold": 0.8, "status": True}))
tell("faces.delete", faces.delete(image_id))
tell("faces.delete again", faces.delete(image_id))
tell("faces.delete_all", faces.delete_all("Ada Lovelace"))
tell("detect", client.init_face_detection(key).detect(ada, SEEING))
tell("verify", client.init_face_verification(key).verify(ada, ada, {"limit": 0, "status": True}))
tell("wrong key", client.init_face_recognition("wrong").get_subjects().list())
