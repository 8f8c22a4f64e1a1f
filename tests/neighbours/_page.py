"""The published page: FiftyOne's backends beside ours, clause by clause."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.neighbours._defects import DEFECTS, Defect
from vecbridge_conformance import clauses
from vecbridge_conformance.reports import SIGNS, read_report

NOT_OFFERED = "not-offered"
_SIGNS = {**SIGNS, NOT_OFFERED: "–"}
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
    reports = [*theirs, *ours]
    lines = [_HEAD.read_text(encoding="utf-8"), f"{_KEY}.", ""]
    lines += ["| clause | " + " | ".join(report["label"] for report in reports) + " |"]
    lines += ["|---|" + "---|" * len(reports)]
    for name in clauses():
        cells = [cell(report, name) for report in reports]
        lines.append(f"| {name} | " + " | ".join(_SIGNS[each.verdict] for each in cells) + " |")
    ours_are = (
        "Ours are the last columns; their deviations are in the [matrix](conformance-matrix.md)."
    )
    lines += ["", ours_are, ""]
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
    from tests.neighbours._columns import COLUMNS

    theirs = [folder / f"{label}.json" for label in COLUMNS]
    own = [ours / f"{label}.json" for label in _OURS]
    text = page(
        [read_report(path) for path in theirs if path.exists()],
        [read_report(path) for path in own if path.exists()],
    )
    for name in ("matrix.md", "matrix.html"):
        (folder / name).unlink(missing_ok=True)
    target.write_text(text, encoding="utf-8")


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
