"""Reports side by side: clauses down, deployments across."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Any

from vecbridge.report import document
from vecbridge_conformance._catalogue import LAYERS
from vecbridge_conformance._clauses import Clause, clauses

SIGNS = {"pass": "✓", "deviation": "△", "fail": "✗", "vacuous": "○", "not-run": "·"}
"""How a verdict is drawn."""

_KEY = "✓ kept, △ known deviation, ✗ broken, ○ could not have failed here, · not run"


def markdown_matrix(reports: Sequence[dict[str, Any]]) -> str:
    """Return the matrix as a page of Markdown, with a list of what is not plainly kept."""
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
            if verdict != "pass"
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


def _rows(reports: Sequence[dict[str, Any]]) -> Iterator[str]:
    for family, members in groupby(clauses().values(), key=lambda clause: clause.family):
        yield f"<tr class=family><th colspan={len(reports) + 1}>{escape(family)}</th></tr>"
        for clause in members:
            yield _row(clause, reports)


def _times(reports: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield a row per layer, and one for the whole run."""
    for layer in LAYERS:
        spent = [report["seconds"].get(layer) for report in reports]
        if any(spent):
            yield [layer, *("" if each is None else f"{each:.1f}" for each in spent)]
    whole = [report.get("wall_seconds") for report in reports]
    yield ["all", *("" if each is None else f"{each:.0f}" for each in whole)]


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
