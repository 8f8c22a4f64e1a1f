"""The report of a run: JSON that a program reads, and a matrix of several side by side."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from collections.abc import Iterator, Sequence
from html import escape
from importlib import metadata, resources
from itertools import groupby
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import vecbridge
from vecbridge import VecbridgeError
from vecbridge.report import document
from vecbridge_conformance._catalogue import LAYERS
from vecbridge_conformance._clauses import Clause, clauses, contract_text

__all__ = [
    "SCHEMA",
    "SIGNS",
    "differences",
    "html_matrix",
    "markdown_matrix",
    "read_report",
    "suite_hash",
    "versions",
    "write_report",
]

SCHEMA = 1
"""Version of the report's form, described in ``docs/how-to/run-conformance.md``."""

SIGNS = {"pass": "✓", "deviation": "△", "fail": "✗", "vacuous": "○", "not-run": "·"}
"""How a verdict is drawn."""

_ALWAYS = ("vecbridge", "numpy", "hypothesis", "pytest")
_KEY = "✓ kept, △ known deviation, ✗ broken, ○ could not have failed here, · not run"


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


def markdown_matrix(reports: Sequence[dict[str, Any]]) -> str:
    """Return the matrix as a page of Markdown, with a list of what is not simply kept."""
    labels = [report["label"] for report in reports]
    lines = [
        "# Conformance matrix",
        "",
        f"{_KEY}.",
        "",
        "| clause | " + " | ".join(labels) + " |",
        "|---|" + "---|" * len(labels),
        "| **result** | " + " | ".join(_result(report) for report in reports) + " |",
    ]
    lines += [
        f"| {name} | " + " | ".join(SIGNS[_cell(report, name)[0]] for report in reports) + " |"
        for name in clauses()
    ]
    lines += ["", "## Wall time", "", "Seconds, with the making and emptying of indexes.", ""]
    lines += ["| layer | " + " | ".join(labels) + " |", "|---|" + "---|" * len(labels)]
    lines += ["| " + " | ".join(row) + " |" for row in _times(reports)]
    for report in reports:
        lines += ["", f"## {report['label']}", "", _about(report), ""]
        lines += [
            f"- {SIGNS[verdict]} **{name}** {_plain(reason)}"
            for name in clauses()
            for verdict, reason in [_cell(report, name)]
            if verdict != "pass" or reason
        ]
    return "\n".join(lines) + "\n"


def html_matrix(reports: Sequence[dict[str, Any]]) -> str:
    """Return the matrix as one HTML file that needs no other."""
    heads = "".join(
        f"<th>{escape(report['label'])}<br><small>{escape(_result(report))}</small></th>"
        for report in reports
    )
    body = (
        f"<h1>Conformance matrix</h1><p>{_KEY}. Point at a sign for the reason.</p>"
        f'<div class="scroll"><table class="matrix"><thead><tr><th>clause</th>{heads}</tr></thead>'
        f"<tbody>{''.join(_rows(reports))}</tbody></table></div><h2>Wall time</h2>"
        f'<div class="scroll"><table class="matrix"><tr><th>seconds</th>{heads}</tr>'
        + "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in _times(reports))
        + "</table></div>"
        + "".join(
            f"<h2>{escape(report['label'])}</h2><p>{escape(_about(report))}</p>"
            for report in reports
        )
    )
    return document("Conformance matrix", body)


def suite_hash() -> str:
    """Tell suites apart: sixteen digits of a hash over the tests and the contract."""
    digest = hashlib.sha256(contract_text().encode())
    folder = resources.files("vecbridge_conformance").joinpath("suite")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def versions(store: vecbridge.Store) -> dict[str, str]:
    """Return versions of Python, of vecbridge and of what the backend stands on.

    A backend that knows more, such as the version of its server, has a method ``versions`` that
    returns it by name.
    """
    names = {*_ALWAYS, *_requirements(store)}
    found = {"python": platform.python_version()}
    found |= {name: known for name in sorted(names) if (known := _version(name))}
    own: Any = getattr(store.backend, "versions", None)
    if own is not None:
        try:
            found.update(own())
        except VecbridgeError as error:
            found["store"] = f"unknown: {error}"
    return found


def _verdict(report: dict[str, Any], name: str) -> str:
    return str(report["clauses"].get(name, {"verdict": "not-run"})["verdict"])


def _rows(reports: Sequence[dict[str, Any]]) -> Iterator[str]:
    for family, members in groupby(clauses().values(), key=lambda clause: clause.family):
        yield f"<tr class=family><th colspan={len(reports) + 1}>{escape(family)}</th></tr>"
        for clause in members:
            yield _row(clause, reports)


def _times(reports: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield a row per layer, and one for the seconds run."""
    for layer in LAYERS:
        spent = [report["seconds"].get(layer) for report in reports]
        if any(spent):
            yield [layer, *("" if each is None else f"{each:.1f}" for each in spent)]
    seconds = [report.get("wall_seconds") for report in reports]
    yield ["all", *("" if each is None else f"{each:.0f}" for each in seconds)]


def _row(clause: Clause, reports: Sequence[dict[str, Any]]) -> str:
    cells = "".join(
        f'<td class="v {verdict}" title="{escape(verdict)}: {escape(reason)}">{SIGNS[verdict]}</td>'
        for report in reports
        for verdict, reason in [_cell(report, clause.id)]
    )
    return f'<tr><td title="{escape(clause.text)}">{clause.id}</td>{cells}</tr>'


def _cell(report: dict[str, Any], clause: str) -> tuple[str, str]:
    found = report["clauses"].get(clause, {"verdict": "not-run", "reason": "unknown to the suite"})
    return found["verdict"], found["reason"]


def _result(report: dict[str, Any]) -> str:
    totals = report["totals"]
    kept = totals["pass"]
    broken = f", {totals['fail']} broken" if totals["fail"] else ""
    known = f", {totals['deviation']} known" if totals["deviation"] else ""
    return f"{kept} kept{broken}{known}{' (part of the suite)' if report['partial'] else ''}"


def _about(report: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in report["versions"].items())
    options = ", ".join(f"{name}={value}" for name, value in report.get("options", {}).items())
    stated = ", ".join(f"{name}={value}" for name, value in report["capabilities"].items())
    return (
        f"{report['started']}, contract {report['contract_version']}, suite {report['suite']}. "
        f"Versions: {versions}. Settings: {options or 'none given'}. Capabilities: {stated}."
    )


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _requirements(store: vecbridge.Store) -> list[str]:
    """Return the distribution that registers the backend, and what it asks for.

    Of requirements under an extra, those under the backend's own name count.
    """
    registered = metadata.entry_points(group="vecbridge.backends", name=store.name)
    found = []
    for distribution in (entry.dist for entry in registered if entry.dist is not None):
        found.append(distribution.name)
        for line in distribution.requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": store.name}):
                # An extra may be named after its package, as in ``pymilvus[milvus-lite]``.
                found += [requirement.name, *requirement.extras]
    return found


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
