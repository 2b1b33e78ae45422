"""A read that fails once leaves nothing behind: three seeded reads of a life; benchmarks/faults.py has all fail."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_a_read_that_fails_once_leaves_nothing_behind() -> None:
    """In a process of its own, as nothing takes an audit hook away."""
    words = [sys.executable, str(ROOT / "benchmarks/faults.py"), "--sample", "3", "--seed", "0"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| verb | EIO | EACCES | ENOMEM |" in done.stdout
