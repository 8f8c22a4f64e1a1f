"""Runs every benchmark, one after the other, with a MongoDB for those that measure FiftyOne."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.servers.mongo import fiftyone_environment, running_mongod

HERE = Path(__file__).parent


def main() -> int:
    """Runs ``bench_*.py``; arguments go to each. The exit status is the worst of theirs."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_mongod(Path(folder)) as uri,
    ):
        environment = {**os.environ, **fiftyone_environment(uri, Path(folder))}
        codes = [
            subprocess.run(
                [sys.executable, script, *sys.argv[1:]], env=environment, check=False
            ).returncode
            for script in sorted(HERE.glob("bench_*.py"))
        ]
    return max(codes, default=0)


if __name__ == "__main__":
    sys.exit(main())
