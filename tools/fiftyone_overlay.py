"""Another fiftyone-brain under FiftyOne, in a folder that PYTHONPATH puts first.

`python -m tools.fiftyone_overlay [BRAIN...]` runs the live FiftyOne tests with each release.
FiftyOne asks for one line of its brain; newer ones are installed without asking it. The folder has
FiftyOne too, since the brain is a part of its package; all else stays what the environment has.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

_CACHE = Path(__file__).parents[1] / ".cache" / "fiftyone"
RELEASES = ("0.26.0", "0.27.0")
"""Newer than FiftyOne 1.22, the newest there is, asks for."""


def overlay(brain: str) -> Path:
    """Return the folder of a release of fiftyone-brain, made where it is not there yet."""
    fiftyone = version("fiftyone")
    folder = _CACHE / f"{fiftyone}-{brain}"
    if folder.is_dir():
        return folder
    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    options = ["--no-deps", "--retries", "10", "--target", str(partial)]
    wanted = [f"fiftyone=={fiftyone}", f"fiftyone-brain=={brain}"]
    subprocess.run([*command, *options, *wanted], check=True)
    partial.rename(folder)
    return folder


def tested(brain: str, options: list[str]) -> bool:
    """Run the live FiftyOne tests with a release of fiftyone-brain; return whether they pass."""
    print(f"fiftyone {version('fiftyone')}, fiftyone-brain {brain}", flush=True)
    environment = {**os.environ, "PYTHONPATH": str(overlay(brain))}
    command = [sys.executable, "-m", "pytest", "-q", "tests/live/fiftyone", *options]
    return subprocess.run(command, env=environment, check=False).returncode == 0


def main() -> int:
    """Test the releases that are named, or all; what begins with a dash is pytest's."""
    options = [given for given in sys.argv[1:] if given.startswith("-")]
    named = [given for given in sys.argv[1:] if not given.startswith("-")]
    failed = [brain for brain in named or RELEASES if not tested(brain, options)]
    if failed:
        print(f"failed with fiftyone-brain {', '.join(failed)}")
    return len(failed)


if __name__ == "__main__":
    sys.exit(main())
