"""Where the figures of a run are kept, and what a run is."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"
LATEST = FOLDER / "latest.json"
Run = dict[str, Any]
"""``date``, and ``scripts``: name to title, rows, outcome, load, machine and versions."""


def latest() -> Run:
    """Return the last run."""
    run: Run = json.loads(LATEST.read_text(encoding="utf-8"))
    return run


def merged(run: Run) -> Run:
    """Return a run of some scripts, with the last figures of the others."""
    kept = latest()["scripts"] if LATEST.exists() else {}
    return {**run, "scripts": dict(sorted({**kept, **run["scripts"]}.items()))}


def save(run: Run, *, whole: bool) -> None:
    """Keep a run as the last one, and a whole run under its day too."""
    FOLDER.mkdir(exist_ok=True)
    text = json.dumps(run, indent=1, ensure_ascii=False) + "\n"
    LATEST.write_text(text, encoding="utf-8")
    if whole:
        day = str(run["date"]).partition(" ")[0]
        (FOLDER / f"{day}.json").write_text(text, encoding="utf-8")
