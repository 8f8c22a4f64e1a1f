"""The older clients that some of FiftyOne's backends are measured with, in a folder of their own.

They are the newest that FiftyOne's code works with: it calls ``search``, which newer clients of
Qdrant lack, and imports ``indexDefinition``, which newer ones of Redis have under another name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "neighbours" / "clients"
_PACKAGES = ("psycopg2-binary==2.9.13", "qdrant-client==1.15.1", "redis==5.2.1")


def ensure() -> None:
    """Install what is missing. What it needs, the environment has."""
    if FOLDER.is_dir():
        return
    partial = FOLDER.with_name("clients.partial")
    shutil.rmtree(partial, ignore_errors=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    target = ["--retries", "10", "--no-deps", "--target", str(partial)]
    subprocess.run([*pip, *target, *_PACKAGES], check=True)
    partial.rename(FOLDER)


def activate() -> None:
    """Put it before all that the environment has, in this process.

    Raises:
        RuntimeError: it is not there.
    """
    if not FOLDER.is_dir():
        raise RuntimeError(f"{FOLDER} is not there; run: make neighbours")
    if str(FOLDER) not in sys.path:
        sys.path.insert(0, str(FOLDER))
