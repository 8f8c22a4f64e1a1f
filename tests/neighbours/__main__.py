"""Measures FiftyOne's backends and stores' clients, and writes ``docs/reference/neighbours.md``.

python -m tests.neighbours                          # all of them
python -m tests.neighbours fiftyone-sklearn         # only this column
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
REPORTS = ROOT / "docs" / "reference" / "neighbours"
PAGE = REPORTS.with_suffix(".md")
LAYERS = "smoke,semantics,ranking"


def run_inside(label: str, layers: list[str], report: Path, words: str) -> int:
    """Runs the suite on one neighbour in this process, whose environment is its own."""
    from tests.neighbours._columns import COLUMNS
    from vecbridge_conformance import run_suite

    with COLUMNS[label]() as deployment:
        return run_suite(deployment, layers=layers, report=report, words=words)


def run_outside(labels: list[str], layers: str, report: Path, words: str) -> None:
    """Runs each in a process of its own, with a MongoDB of its own."""
    from tests.neighbours._columns import NEWER
    from tests.servers.mongo import fiftyone_environment, running_mongod
    from tools.fiftyone_overlay import RELEASES, overlay

    with tempfile.TemporaryDirectory(prefix="vecbridge-") as name:
        folder = Path(name)
        with running_mongod(folder) as uri:
            environment = {
                **{key: value for key, value in os.environ.items() if "FIFTYONE" not in key},
                **fiftyone_environment(uri, folder),
            }
            for label in labels:
                newer = {"PYTHONPATH": str(overlay(RELEASES[-1]))} if label in NEWER else {}
                options = ["--layer", layers, "--report", str(report), "-k", words, "--inside"]
                subprocess.run(
                    [sys.executable, "-m", "tests.neighbours", label, *options],
                    cwd=ROOT,
                    env={**environment, **newer},
                    check=False,
                )


def main() -> int:
    """Runs what was asked for, and writes the page."""
    from tests.neighbours._columns import COLUMNS
    from tests.neighbours._overlay import ensure
    from tests.neighbours._page import write

    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("labels", nargs="*", metavar="LABEL", help=", ".join(COLUMNS))
    parser.add_argument("--layer", default=LAYERS)
    parser.add_argument("--report", type=Path, default=REPORTS, help="where the JSON goes")
    parser.add_argument("-k", default="", metavar="WORDS", help="some tests; nothing is published")
    parser.add_argument("--page", action="store_true", help="write the page, run nothing")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := sorted(set(given.labels) - set(COLUMNS)):
        parser.error(f"no neighbour {', '.join(unknown)}; there are {', '.join(COLUMNS)}")
    if given.inside:
        layers = [word for word in given.layer.split(",") if word]
        return run_inside(given.labels[0], layers, given.report, given.k)
    if given.k and given.report == REPORTS:
        given.report = Path(tempfile.mkdtemp(prefix="neighbours-"))
    labels = given.labels or list(COLUMNS)
    if not given.page:
        ensure()
        run_outside(labels, given.layer, given.report, given.k)
    if given.report == REPORTS:
        write(REPORTS, REPORTS.parent / "conformance", PAGE)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
