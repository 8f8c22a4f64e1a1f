"""The published page: FiftyOne's backends beside ours, clause by clause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.neighbours._columns import COLUMNS, FIFTYONES, NEWER, RAW
from tests.neighbours._defects import DEFECTS, Defect
from vecbridge_conformance import clauses
from vecbridge_conformance.reports import SIGNS, read_report

NOT_OFFERED = "not-offered"
_SIGNS = {**SIGNS, NOT_OFFERED: "–"}
_MEASURED = ("fiftyone-brain", "chromadb", "qdrant-client", "lancedb", "redis", "psycopg")
_OURS = ("sklearn-memory", "milvus-lite", "milvus-server")
_KEY = (
    "✓ kept, △ known deviation, ✗ differs, – not offered, ○ could not have failed here, · not run"
)
_HEAD = Path(__file__).with_name("page.md")
_REPRODUCERS = Path(__file__).with_name("reproducers")


class Cell(NamedTuple):
    """What a column says of a clause."""

    verdict: str
    reason: str = ""
    test: str = ""


def page(theirs: Sequence[dict[str, Any]], ours: Sequence[dict[str, Any]]) -> str:
    """Return the page as Markdown."""
    newer = [report for report in theirs if report["label"] in NEWER]
    older = [report for report in theirs if report["label"] in FIFTYONES]
    raw = [report for report in theirs if report["label"] in RAW]
    lines = [_HEAD.read_text(encoding="utf-8")]
    lines += changed(older, newer)
    lines += ["## Clause by clause", "", f"{_KEY}.", ""]
    lines += ["### FiftyOne's backends, fiftyone-brain 0.27, and ours", ""]
    lines += _table([*newer, *ours])
    ours_are = (
        "Ours are the last columns; their deviations are in the [matrix](conformance-matrix.md)."
    )
    lines += ["", ours_are, ""]
    lines += ["### FiftyOne's backends, fiftyone-brain 0.25", "", *_table(older), ""]
    lines += ["### The stores' own clients", "", *_table(raw), ""]
    lines += _defects(theirs)
    lines += _scripts()
    for report in theirs:
        lines += _details(report)
    return "\n".join(lines) + "\n"


def cell(report: dict[str, Any], name: str) -> Cell:
    """Return the verdict of a clause, and whether it differs or is not offered."""
    judged = report["clauses"].get(name, {"verdict": "not run"})
    failed = [
        test for test in report["tests"] if test["verdict"] == "broken" and name in test["clauses"]
    ]
    if not failed:
        return Cell(judged["verdict"])
    wrong = [test for test in failed if not test["reason"].startswith("UnsupportedError")]
    shown = (wrong or failed)[0]
    return Cell("broken" if wrong else NOT_OFFERED, shown["reason"], shown["test"])


def caught(report: dict[str, Any], defect: Defect) -> bool:
    """Return whether the test that has to find a defect failed, and by it."""
    return any(
        each["verdict"] == "broken"
        and each["test"].startswith(defect.test)
        and defect.reason in each["reason"]
        for each in report["tests"]
    )


def write(folder: Path, ours: Path, target: Path) -> None:
    """Writes the page from the reports that are kept."""
    theirs = [folder / f"{label}.json" for label in COLUMNS]
    own = [ours / f"{label}.json" for label in _OURS]
    text = page(
        [read_report(path) for path in theirs if path.exists()],
        [read_report(path) for path in own if path.exists()],
    )
    for name in ("matrix.md", "matrix.html"):
        (folder / name).unlink(missing_ok=True)
    target.write_text(text, encoding="utf-8")


def _table(reports: Sequence[dict[str, Any]]) -> list[str]:
    """Return a row for each clause, and a column for each report."""
    lines = ["| clause | " + " | ".join(map(_heading, reports)) + " |"]
    lines.append("|---|" + "---|" * len(reports))
    for name in clauses():
        cells = [_SIGNS[cell(report, name).verdict] for report in reports]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


def _heading(report: dict[str, Any]) -> str:
    """Return what was measured, in which version, and when."""
    label, versions = report["label"], report["versions"]
    short = label.removeprefix("fiftyone-").removeprefix("raw-").removesuffix("-0.27")
    package = next((name for name in versions if name in _MEASURED), "vecbridge")
    return f"{short}<br>{versions[package]}<br>{report['started'][:10]}"


def changed(older: Sequence[dict[str, Any]], newer: Sequence[dict[str, Any]]) -> list[str]:
    """Return which clauses differ between two columns that the same tests were run on."""
    before = {report["label"]: report for report in older}
    lines = ["| column | tests that changed | clauses: 0.25 → 0.27 |", "|---|---|---|"]
    for report in newer:
        label = report["label"].removesuffix("-0.27")
        other = before.get(label)
        if other is None or _run(other) != _run(report):
            lines.append(f"| {label} | not compared: other tests were run | |")
            continue
        tests = {each["test"]: each["verdict"] for each in other["tests"]}
        differing = sum(tests[each["test"]] != each["verdict"] for each in report["tests"])
        pairs = [
            (name, cell(other, name).verdict, cell(report, name).verdict) for name in clauses()
        ]
        told = [f"{name} {_SIGNS[a]} → {_SIGNS[b]}" for name, a, b in pairs if a != b]
        lines.append(f"| {label} | {differing} of {len(tests)} | {', '.join(told) or 'none'} |")
    return [*lines, ""]


def _run(report: dict[str, Any]) -> tuple[str, tuple[str, ...]]:
    """Return which tests a report is of."""
    return report["suite"], tuple(report["seconds"])


def _defects(theirs: Sequence[dict[str, Any]]) -> list[str]:
    by_label = {report["label"]: report for report in theirs}
    lines = ["## Known defects of FiftyOne's Milvus backend, and what finds them", ""]
    lines += ["| defect | clause | found on | by |", "|---|---|---|---|"]
    for defect in DEFECTS:
        found = [
            label
            for label, report in by_label.items()
            if "milvus" in label and defect.test and caught(report, defect)
        ]
        where = ", ".join(found) or (
            "**not found**" if defect.test else "no clause: " + defect.note
        )
        by = f"`{defect.test}`" if defect.test else ""
        lines.append(f"| {defect.what} | {defect.clause} | {where} | {by} |")
    return [*lines, ""]


def _scripts() -> list[str]:
    """Scripts that show the plainest cases on FiftyOne's own classes, without a wrapper."""
    lines = ["## To see it without us", ""]
    lines += ["Each runs as it stands where FiftyOne and the store's client are installed.", ""]
    for script in sorted(_REPRODUCERS.glob("*.txt")):
        text = script.read_text(encoding="utf-8").rstrip()
        lines += [f"### {script.stem}", "", "```python", text, "```", ""]
    return lines


def _details(report: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {version}" for name, version in report["versions"].items())
    ran = sum(test["verdict"] != "not run" for test in report["tests"])
    about = f"{report['started'][:10]}, {ran} tests of {', '.join(report['seconds'])}; {versions}."
    lines = [f"## {report['label']}", "", about, ""]
    for name in clauses():
        found = cell(report, name)
        if found.verdict in {"broken", NOT_OFFERED}:
            reason = " ".join(found.reason.replace("|", "\\|").replace("`", "'").split())[:200]
            lines.append(f"- {_SIGNS[found.verdict]} **{name}** `{found.test}`: `{reason}`")
    lines += ["", "To see one again, in a clone, with its clause and the calls:", "", "```bash"]
    return [*lines, f"python -m tests.neighbours {report['label']} -k TEST", "```", ""]
