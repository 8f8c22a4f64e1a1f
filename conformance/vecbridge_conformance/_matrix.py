"""Reports side by side, as a page of Markdown and as one of HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from html import escape
from itertools import groupby
from typing import Any, NamedTuple

from vecbridge.report import document
from vecbridge_conformance._catalogue import LAYERS
from vecbridge_conformance._clauses import Clause, clauses
from vecbridge_conformance._verdicts import MEANINGS, SIGNS

_COMMON = {"python", "numpy", "hypothesis", "pytest", "pydantic", "threadpoolctl", "vecbridge"}
"""What every run has; the rest of its versions tell the store."""


class _Cell(NamedTuple):
    """What a run found out about a clause, and where on the page its reason is."""

    verdict: str
    reason: str
    place: str

    @property
    def explained(self) -> bool:
        """Return whether there is more to say than that the clause is kept."""
        return self.verdict != "kept" or bool(self.reason)


def markdown_matrix(reports: Sequence[dict[str, Any]], contract: str = "") -> str:
    """Return the matrix as a page of Markdown, with the reason of each sign.

    Args:
        reports: a column each.
        contract: the page of the contract, with an anchor per clause; the clauses are printed at
            the end where it is empty.
    """
    lines = ["# Conformance matrix", "", "| sign | verdict | meaning |", "|---|---|---|"]
    lines += [f"| {sign} | {word} | {MEANINGS[word]} |" for word, sign in SIGNS.items()]
    heads = ["deployment", "result", *SIGNS, "run on", "wall time", "store"]
    lines += ["", "## Runs", "", f"| {' | '.join(heads)} |", "|" + "---|" * len(heads)]
    lines += [f"| {' | '.join(map(_plain, _run(report)))} |" for report in reports]
    labels = [f"[{_plain(report['label'])}](#{_anchor(report)})" for report in reports]
    lines += ["", "## Clauses", "", "A sign leads to its reason, and a clause to its text.", ""]
    lines += ["| clause | " + " | ".join(labels) + " |", "|---|" + "---|" * len(labels)]
    for name in clauses():
        cells = [_markdown_sign(_cell(report, name)) for report in reports]
        lines.append(f"| [{name}]({contract}#{name.lower()}) | {' | '.join(cells)} |")
    lines += ["", "## Wall time", "", "Seconds, with the making and emptying of indexes.", ""]
    names = [_plain(report["label"]) for report in reports]
    lines += ["| layer | " + " | ".join(names) + " |", "|---|" + "---|" * len(names)]
    lines += ["| " + " | ".join(row) + " |" for row in _times(reports)]
    for report in reports:
        lines += ["", f"## {_plain(report['label'])}", ""]
        lines += [f'<a id="{_anchor(report)}"></a>{_plain(_about(report))}', ""]
        lines += [
            f'- <a id="{cell.place}"></a>{SIGNS[cell.verdict]} {cell.verdict}: '
            f"**{name}** {_plain(cell.reason)}"
            for name in clauses()
            for cell in [_cell(report, name)]
            if cell.explained
        ]
    if not contract:
        lines += ["", "## The clauses"]
        for name, clause in clauses().items():
            lines += ["", f'<a id="{name.lower()}"></a>**{name}.** {clause.text}']
    return "\n".join(lines) + "\n"


def html_matrix(reports: Sequence[dict[str, Any]]) -> str:
    """Return the matrix as one HTML file that needs no other."""
    legend = "".join(
        f'<tr><td class="v {_css(word)}">{sign} {word}</td><td>{escape(MEANINGS[word])}</td></tr>'
        for word, sign in SIGNS.items()
    )
    heads = ["deployment", "result", *SIGNS, "run on", "wall time", "store"]
    runs = "".join(
        f'<tr><td><a href="#{_anchor(report)}">{escape(first)}</a></td>'
        + "".join(f"<td>{escape(each)}</td>" for each in rest)
        + "</tr>"
        for report in reports
        for first, *rest in [_run(report)]
    )
    labels = "".join(
        f'<th><a href="#{_anchor(report)}">{escape(report["label"])}</a></th>' for report in reports
    )
    body = (
        f"<h1>Conformance matrix</h1>{_table(_row(heads), runs)}"
        f"<h2>Verdicts</h2>{_table('', legend)}"
        "<h2>Clauses</h2><p>A sign leads to its reason, and a clause to its text.</p>"
        f"{_table(f'<tr><th>clause</th>{labels}</tr>', ''.join(_rows(reports)))}"
        + "".join(map(_reasons, reports))
        + "<h2>Wall time</h2><p>Seconds, with the making and emptying of indexes.</p>"
        + _table(
            _row(["layer", *(report["label"] for report in reports)]),
            "".join(f"<tr><td>{'</td><td>'.join(row)}</td></tr>" for row in _times(reports)),
        )
        + "<h2>The clauses</h2>"
        + "".join(
            f'<p id="{name.lower()}"><b>{name}</b> {escape(clause.text)}</p>'
            for name, clause in clauses().items()
        )
    )
    return document("Conformance matrix", body)


def cell_of(report: dict[str, Any], clause: str) -> tuple[str, str]:
    """Return the verdict of a report on a clause, and its reason."""
    unknown = {"verdict": "not run", "reason": "unknown to the suite of that run"}
    found = report["clauses"].get(clause, unknown)
    return found["verdict"], found["reason"]


def _cell(report: dict[str, Any], clause: str) -> _Cell:
    return _Cell(*cell_of(report, clause), f"{_anchor(report)}-{clause.lower()}")


def _markdown_sign(cell: _Cell) -> str:
    word = "" if cell.verdict == "kept" else f" {cell.verdict}"
    sign = f"{SIGNS[cell.verdict]}{word}"
    return f"[{sign}](#{cell.place})" if cell.explained else sign


def _rows(reports: Sequence[dict[str, Any]]) -> Iterator[str]:
    for family, members in groupby(clauses().values(), key=lambda clause: clause.family):
        yield f"<tr class=family><th colspan={len(reports) + 1}>{escape(family)}</th></tr>"
        for clause in members:
            yield _clause_row(clause, reports)


def _clause_row(clause: Clause, reports: Sequence[dict[str, Any]]) -> str:
    cells = "".join(_html_sign(_cell(report, clause.id)) for report in reports)
    beginning = re.split(r"(?<=\.) ", clause.text, maxsplit=1)[0]
    return (
        f'<tr><td class="clause"><a href="#{clause.id.lower()}">{clause.id}</a>'
        f"<small>{escape(beginning)}</small></td>{cells}</tr>"
    )


def _html_sign(cell: _Cell) -> str:
    shown = f"{SIGNS[cell.verdict]} <small>{cell.verdict}</small>"
    shown = f'<a href="#{cell.place}">{shown}</a>' if cell.explained else shown
    return f'<td class="v {_css(cell.verdict)}">{shown}</td>'


def _reasons(report: dict[str, Any]) -> str:
    items = "".join(
        f'<li id="{cell.place}"><span class="{_css(cell.verdict)}">{SIGNS[cell.verdict]} '
        f'{cell.verdict}</span> <a href="#{name.lower()}">{name}</a> {escape(cell.reason)}</li>'
        for name in clauses()
        for cell in [_cell(report, name)]
        if cell.explained
    )
    return (
        f'<h2 id="{_anchor(report)}">{escape(report["label"])}: {escape(_conforms(report))}</h2>'
        f"<p>{escape(_about(report))}</p><ul>{items}</ul>"
    )


def _run(report: dict[str, Any]) -> list[str]:
    """Return the line of a run: its result, its counts, when it was, and on what."""
    store = [f"{name} {value}" for name, value in report["versions"].items() if name not in _COMMON]
    totals = report["totals"]
    return [
        report["label"],
        _conforms(report),
        *(str(totals.get(verdict, 0)) for verdict in SIGNS),
        report["started"][:10],
        _duration(report.get("wall_seconds")),
        ", ".join(store) or "this process",
    ]


def _conforms(report: dict[str, Any]) -> str:
    part = " in what was run" if report["partial"] else ""
    return f"{'conforms' if report['conforms'] else 'does not conform'}{part}"


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _times(reports: Sequence[dict[str, Any]]) -> Iterator[list[str]]:
    """Yield a row per layer, and one for the seconds run."""
    for layer in LAYERS:
        spent = [report["seconds"].get(layer) for report in reports]
        if any(spent):
            yield [layer, *("" if each is None else f"{each:.1f}" for each in spent)]
    seconds = [report.get("wall_seconds") for report in reports]
    yield ["all", *("" if each is None else f"{each:.0f}" for each in seconds)]


def _about(report: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {value}" for name, value in report["versions"].items())
    options = ", ".join(f"{name}={value}" for name, value in report.get("options", {}).items())
    stated = ", ".join(f"{name}={value}" for name, value in report["capabilities"].items())
    return (
        f"Run at {report['started']} in {_duration(report.get('wall_seconds'))}; contract "
        f"{report['contract_version']}, suite {report['suite']}. Versions: {versions}. "
        f"Settings: {options or 'none given'}. Capabilities: {stated}."
    )


def _anchor(report: dict[str, Any]) -> str:
    return "run-" + re.sub(r"[^a-z0-9]+", "-", report["label"].lower()).strip("-")


def _table(head: str, body: str) -> str:
    return (
        f'<div class="scroll"><table class="matrix"><thead>{head}</thead>'
        f"<tbody>{body}</tbody></table></div>"
    )


def _row(heads: Sequence[str]) -> str:
    return f"<tr>{''.join(f'<th>{escape(head)}</th>' for head in heads)}</tr>"


def _css(verdict: str) -> str:
    return verdict.replace(" ", "-")


def _plain(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")
