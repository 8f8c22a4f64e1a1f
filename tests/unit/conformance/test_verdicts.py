"""The verdict on a clause is the worst of what its tests found."""

from __future__ import annotations

import pytest

from vecbridge_conformance import clauses
from vecbridge_conformance._clauses import Clause
from vecbridge_conformance._verdicts import Outcome, Verdict, judge


def outcomes(*verdicts: Verdict) -> list[Outcome]:
    return [
        Outcome(f"test_{number}", "smoke", ("REC-1",), verdict, f"because {number}")
        for number, verdict in enumerate(verdicts)
    ]


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (("pass", "fail", "deviation"), "fail", "because 1"),
        (("pass", "deviation", "vacuous"), "deviation", "because 1"),
        (("vacuous", "pass", "not-run"), "pass", "because 1"),
        (("not-run", "vacuous"), "vacuous", "because 1"),
        (("not-run", "not-run"), "not-run", "because 0"),
        ((), "not-run", "no test of it was selected"),
    ],
)
def test_the_worst_decides_and_gives_the_reason(
    found: tuple[Verdict, ...], verdict: Verdict, reason: str
) -> None:
    judged = judge(clauses(), outcomes(*found))["REC-1"]

    assert (judged.verdict, judged.reason) == (verdict, reason)


def test_what_did_not_run_is_not_counted_among_the_tests() -> None:
    assert judge(clauses(), outcomes("pass", "not-run", "vacuous"))["REC-1"].tests == 2


def test_a_clause_that_binds_the_documentation_is_not_run() -> None:
    page = {"REC-1": Clause("REC-1", "Says so. *(documentation)*", "Records")}

    assert judge(page, outcomes("pass"))["REC-1"].verdict == "not-run"


def test_every_clause_is_judged_in_the_order_of_the_contract() -> None:
    assert list(judge(clauses(), [])) == list(clauses())
