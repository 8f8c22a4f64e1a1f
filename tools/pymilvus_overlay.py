"""Another pymilvus, in a folder that PYTHONPATH puts before the environment's own.

`python -m tools.pymilvus_overlay VERSION...` runs the live Milvus tests on each version. A version
is installed below .cache, once; everything else, gRPC included, stays what the environment has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_CACHE = Path(__file__).parents[1] / ".cache" / "pymilvus"
RELEASES = ("2.5.18", "2.6.17")
"""The last ones of the lines that vecbridge supports beside the newest."""

# What a version needs, and newer ones do not bring into the environment.
_COMPANIONS = {"2.5": ["ujson>=2"]}
# Milvus Lite 3 answers in words that these versions do not know, and cannot list its collections.
_WITHOUT_LITE = frozenset({"2.5"})


def overlay(version: str) -> Path:
    """Return the folder of a version, made where it is not there yet.

    Args:
        version: such as ``2.5.18``.
    """
    folder = _CACHE / version
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{version}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    companions = _COMPANIONS.get(_line(version), [])
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--retries", "10", "--target", str(partial)]
    subprocess.run([*command, *options, f"pymilvus=={version}", *companions], check=True)
    partial.rename(folder)
    return folder


def tested(version: str) -> bool:
    """Run the live Milvus tests on a version, and return whether they pass.

    Args:
        version: such as ``2.5.18``.
    """
    print(f"pymilvus {version}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(overlay(version))}
    selection = ["-k", "not lite"] if _line(version) in _WITHOUT_LITE else []
    command = [sys.executable, "-m", "pytest", "-q", "tests/live/milvus", *selection]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def _line(version: str) -> str:
    return version.rpartition(".")[0]


if __name__ == "__main__":
    failed = [version for version in sys.argv[1:] or RELEASES if not tested(version)]
    sys.exit(f"failed on pymilvus {', '.join(failed)}" if failed else 0)
