"""Reports: what is in them, side by side, and where two differ."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Iterator
from html import escape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from vecbridge_conformance import Deployment, Mark, Session, clauses
from vecbridge_conformance.reports import (
    SIGNS,
    differences,
    html_matrix,
    markdown_matrix,
    read_report,
    write_report,
)

MARK = Mark(("READ-3", "REC-1"))


@pytest.fixture
def session() -> Iterator[Session]:
    used = Session(Deployment("sklearn", label="sklearn <memory>"))
    yield used
    used.harness.close()


@pytest.fixture
def report(session: Session) -> dict[str, Any]:
    session.record("test_x[1]", "smoke", MARK, AssertionError("2 is not | 3\nmore"), 0.25)
    session.record("test_y", "semantics", Mark(("REC-1",)), None, 0.5)
    session.leave_out("test_z", "ranking", Mark(("RANK-1",)), "the index does not declare exact")
    session.seconds.update({"smoke": 0.25, "ranking": 1.5})
    return session.report()


def test_a_report_says_what_was_run_on_what(report: dict[str, Any]) -> None:
    assert report["schema"] == 2
    assert (report["backend"], report["label"]) == ("sklearn", "sklearn <memory>")
    assert report["contract_version"] == 2
    assert len(report["suite"]) == 16
    assert {"python", "numpy", "vecbridge", "scikit-learn"} <= report["versions"].keys()
    assert report["capabilities"]["consistency"] == ["strong"]
    assert report["seconds"] == {"smoke": 0.25, "ranking": 1.5}
    assert report["options"] == {}
    assert 0.0 <= report["wall_seconds"] < 60.0


def test_a_report_judges_every_clause(report: dict[str, Any]) -> None:
    assert list(report["clauses"]) == list(clauses())
    assert report["clauses"]["READ-3"] == {
        "verdict": "broken",
        "reason": "AssertionError: 2 is not | 3",
        "tests": 1,
    }
    assert report["clauses"]["REC-1"]["verdict"] == "broken"
    assert report["clauses"]["RANK-1"]["reason"] == "the index does not declare exact"
    assert report["totals"]["broken"] == 2
    assert report["totals"]["not run"] == len(clauses()) - 2
    assert not report["conforms"]


def test_a_report_is_written_and_read(report: dict[str, Any], tmp_path: Path) -> None:
    file = write_report(report, tmp_path / "new")

    assert file.name == "sklearn__memory_.json"
    assert read_report(file) == report
    assert (tmp_path / "new" / "matrix.md").exists()


def test_what_is_no_report_is_refused(tmp_path: Path) -> None:
    for name, text in {"torn.json": "{", "other.json": '{"schema": 99}', "list.json": "[]"}.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(ValueError, match=name):
            read_report(tmp_path / name)
    with pytest.raises(ValueError, match=r"absent\.json"):
        read_report(tmp_path / "absent.json")


def test_two_reports_differ_where_their_verdicts_do(report: dict[str, Any]) -> None:
    other = copy.deepcopy(report)
    assert differences(report, other) == []
    other["clauses"]["READ-3"]["verdict"] = "kept"
    del other["clauses"]["REC-1"]

    assert differences(report, other) == [
        ("REC-1", "broken", "not run"),
        ("READ-3", "broken", "kept"),
    ]


def test_a_report_of_the_earlier_form_is_read_in_the_words_of_today(
    report: dict[str, Any], tmp_path: Path
) -> None:
    earlier = {"kept": "pass", "known": "deviation", "broken": "fail", "not run": "not-run"}
    text = json.dumps({**report, "schema": 1})
    for today, then in earlier.items():
        text = text.replace(f'"{today}"', f'"{then}"')
    (tmp_path / "earlier.json").write_text(text)

    assert '"fail"' in text
    assert read_report(tmp_path / "earlier.json") == report


def test_the_matrix_has_a_column_a_deployment_and_a_row_a_clause(report: dict[str, Any]) -> None:
    other = {**report, "label": "another"}
    lines = markdown_matrix([report, other], "contract.md").splitlines()

    first, second = "[sklearn &lt;memory>](#run-sklearn-memory)", "[another](#run-another)"
    assert f"| clause | {first} | {second} |" in lines
    reasons = "[✗ broken](#run-sklearn-memory-read-3) | [✗ broken](#run-another-read-3)"
    assert f"| [READ-3](contract.md#read-3) | {reasons} |" in lines
    assert "| ranking | 1.5 | 1.5 |" in lines
    reason = "✗ broken: **READ-3** AssertionError: 2 is not \\| 3"
    assert f'- <a id="run-another-read-3"></a>{reason}' in lines


def test_the_matrix_says_of_each_run_how_it_ended_when_it_was_and_on_what(
    report: dict[str, Any],
) -> None:
    runs = markdown_matrix([report]).partition("## Runs")[2].partition("## Clauses")[0]

    assert "does not conform" in runs
    assert report["started"][:10] in runs
    assert f"scikit-learn {report['versions']['scikit-learn']}" in runs


def test_the_matrix_says_which_part_of_a_clause_that_is_kept_was_not_tested(
    report: dict[str, Any],
) -> None:
    kept = {"verdict": "kept", "reason": "in part: test_x could not have failed", "tests": 2}
    report["clauses"]["RANK-8"] = kept

    page = markdown_matrix([report])
    assert "| [RANK-8](#rank-8) | [✓](#run-sklearn-memory-rank-8) |" in page
    assert "✓ kept: **RANK-8** in part: test_x could not have failed\n" in page


@pytest.mark.parametrize("draw", [markdown_matrix, html_matrix])
def test_every_link_of_a_matrix_leads_somewhere_on_its_page(
    report: dict[str, Any], draw: Callable[[list[dict[str, Any]]], str]
) -> None:
    page = draw([report])
    linked = {*re.findall(r"\]\(#([^)]+)\)", page), *re.findall(r'href="#([^"]+)"', page)}

    assert len(linked) > len(clauses())
    assert linked <= set(re.findall(r'id="([^"]+)"', page))


def test_the_page_of_a_run_shows_what_a_clause_says_without_pointing_at_it(
    report: dict[str, Any],
) -> None:
    page = html_matrix([report])

    assert "title=" not in page
    assert all(escape(clause.text) in page for clause in clauses().values())


def test_the_html_is_whole_escaped_and_needs_no_other_file(report: dict[str, Any]) -> None:
    page = html_matrix([report])
    seen = _Seen()
    seen.feed(page)

    assert "sklearn &lt;memory&gt;" in page
    assert seen.open == []
    families = {each.family for each in clauses().values()}
    times = ["heading", *report["seconds"], "all"]
    runs = ["heading", report]
    assert seen.rows == len(clauses()) + len(families) + 1 + len(times) + len(runs) + len(SIGNS)
    assert "http" not in page
    assert "src=" not in page


def test_a_report_is_plain_json(report: dict[str, Any]) -> None:
    assert json.loads(json.dumps(report)) == report


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows = 0

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.rows += tag == "tr"
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
