"""The report of a run as JSON: what a program reads, and what every other form is made from."""

from __future__ import annotations

import json
import re
import time
from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import vecbridge
from vecbridge_conformance._catalogue import LAYERS
from vecbridge_conformance._clauses import clauses
from vecbridge_conformance._facts import suite_hash
from vecbridge_conformance._matrix import html_matrix, markdown_matrix
from vecbridge_conformance._verdicts import VERDICTS, judge

if TYPE_CHECKING:
    from vecbridge_conformance._session import Session

SCHEMA = 1
"""Version of the report's form, described in ``docs/how-to/run-conformance.md``."""


def build_report(session: Session) -> dict[str, Any]:
    """Return the report of a session, as JSON has it."""
    judged = judge(clauses(), session.outcomes)
    seconds = session.seconds
    return {
        "schema": SCHEMA,
        "label": session.harness.deployment.label,
        "backend": session.harness.deployment.backend,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(session.started)),
        "contract_version": vecbridge.contract_version,
        "suite": suite_hash(),
        "partial": session.partial,
        "conforms": all(each.verdict != "fail" for each in judged.values()),
        **session.surroundings,
        "seconds": {layer: round(seconds[layer], 2) for layer in LAYERS if layer in seconds},
        "wall_seconds": round(time.time() - session.started, 2),
        "totals": dict.fromkeys(VERDICTS, 0) | Counter(each.verdict for each in judged.values()),
        "clauses": {name: asdict(each) for name, each in judged.items()},
        "tests": [
            {**asdict(outcome), "clauses": list(outcome.clauses)} for outcome in session.outcomes
        ],
    }


def write_report(report: dict[str, Any], folder: Path) -> Path:
    """Write ``<label>.json``, and a matrix of every report in the folder.

    Returns:
        The JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', report['label'])}.json"
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    reports = [read_report(path) for path in sorted(folder.glob("*.json"))]
    (folder / "matrix.md").write_text(markdown_matrix(reports), encoding="utf-8")
    (folder / "matrix.html").write_text(html_matrix(reports), encoding="utf-8")
    return file


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.

    Raises:
        ValueError: the file is none, or of another form than this version reads.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a report: {error}") from error
    if not isinstance(report, dict) or report.get("schema") != SCHEMA:
        raise ValueError(f"{path} is not a report of form {SCHEMA}")
    return report


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the clauses on which two reports differ: id, and the verdict of each."""
    names = dict.fromkeys([*one["clauses"], *other["clauses"]])
    pairs = ((name, _verdict(one, name), _verdict(other, name)) for name in names)
    return [pair for pair in pairs if pair[1] != pair[2]]


def _verdict(report: dict[str, Any], name: str) -> str:
    return str(report["clauses"].get(name, {"verdict": "not-run"})["verdict"])
