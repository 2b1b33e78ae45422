"""`mien` with eyes that see painted squares, in a process of its own, and with jobs that see likewise."""

from __future__ import annotations

import sys
from pathlib import Path

from painted_job import eyes

from mien.cli import app
from mien.cli.place import Place
from mien.server import jobs

if __name__ == "__main__":
    jobs.CHILD = (sys.executable, str(Path(__file__).with_name("painted_job.py")))
    app(prog_name="mien", obj=Place(eyes=eyes))
