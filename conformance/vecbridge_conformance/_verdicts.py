"""What a run found: the outcome of each test, and from them the verdict on each clause."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from vecbridge_conformance._clauses import Clause

Verdict = Literal["fail", "deviation", "pass", "vacuous", "not-run"]
"""What is known of a clause, or came of a test; the worst first."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Outcome:
    """What came of one test.

    Attributes:
        test: its name with its parameters.
        layer: its layer.
        clauses: what it checks.
        verdict: what came of it.
        reason: why it failed, deviated, proved nothing or did not run.
        seconds: how long it took.
    """

    test: str
    layer: str
    clauses: tuple[str, ...]
    verdict: Verdict
    reason: str = ""
    seconds: float = 0.0


@dataclass(frozen=True)
class ClauseVerdict:
    """What a run says of one clause.

    Attributes:
        verdict: the worst of what its tests found; what proved nothing or did not run counts only
            where nothing else did.
        reason: of the test that decided it.
        tests: how many tests checked it.
    """

    verdict: Verdict
    reason: str
    tests: int


def judge(clauses: Mapping[str, Clause], outcomes: Sequence[Outcome]) -> dict[str, ClauseVerdict]:
    """Return the verdict on every clause, in the order of the contract."""
    return {
        name: _judged([each for each in outcomes if name in each.clauses])
        if clause.binding
        else ClauseVerdict("not-run", "binds the documentation, which no run can check", 0)
        for name, clause in clauses.items()
    }


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the verdict that decides."""
    found = set(verdicts)
    for verdict in VERDICTS:
        if verdict in found:
            return verdict
    return "not-run"


def _judged(outcomes: Sequence[Outcome]) -> ClauseVerdict:
    verdict = worst(each.verdict for each in outcomes)
    reasons = dict.fromkeys(each.reason for each in outcomes if each.verdict == verdict)
    said = next(filter(None, reasons), "") if outcomes else "no test of it was selected"
    ran = sum(each.verdict != "not-run" for each in outcomes)
    return ClauseVerdict(verdict, said, ran)
