"""The verdict on a clause is the worst of what its tests found."""

from __future__ import annotations

from typing import Any

import pytest

from vecbridge_conformance import Deployment, Mark, Session, Vacuous, clauses
from vecbridge_conformance.deviations import Deviation

KNOWN = Deviation("REC-1", "upstream", "known", "https://example.com/1", "KeyError")
ERRORS: dict[str, BaseException | None] = {
    "kept": None,
    "vacuous": Vacuous("vacuous: no lag"),
    "known": KeyError("known"),
    "broken": AssertionError("no"),
}
IN_PART = "in part: test_0 could not have failed (no lag)"


def judged(*verdicts: str) -> dict[str, Any]:
    """Return what a report says of a clause whose tests found this."""
    session = Session(Deployment("sklearn"), ledger=[KNOWN])
    for number, verdict in enumerate(verdicts):
        mark = Mark(("REC-1",))
        if verdict == "not run":
            session.leave_out(f"test_{number}", "smoke", mark, f"because {number}")
        else:
            session.record(f"test_{number}", "smoke", mark, ERRORS[verdict], 0.1)
    report = session.report()
    session.harness.close()
    assert list(report["clauses"]) == list(clauses())
    found: dict[str, Any] = report["clauses"]["REC-1"]
    return found


@pytest.mark.parametrize(
    ("found", "verdict", "reason"),
    [
        (("kept", "broken", "known"), "broken", "AssertionError: no"),
        (
            ("kept", "known", "vacuous"),
            "known",
            "upstream: known (https://example.com/1)",
        ),
        (("kept", "kept", "not run"), "kept", ""),
        (("vacuous", "kept", "kept"), "kept", IN_PART),
        (("not run", "vacuous"), "vacuous", "no lag"),
        (("not run", "not run"), "not run", "because 0"),
        ((), "not run", "no test of it was selected"),
    ],
)
def test_the_worst_decides_and_gives_the_reason(
    found: tuple[str, ...], verdict: str, reason: str
) -> None:
    clause = judged(*found)

    assert (clause["verdict"], clause["reason"]) == (verdict, reason)


def test_of_a_clause_that_is_kept_every_test_is_named_that_could_not_have_failed() -> None:
    assert judged("vacuous", "vacuous", "kept")["reason"] == (
        "in part: test_0, test_1 could not have failed (no lag)"
    )


def test_what_did_not_run_is_not_counted_among_the_tests() -> None:
    assert judged("kept", "not run", "vacuous")["tests"] == 2
