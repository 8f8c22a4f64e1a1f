"""The five words for what a run found out about a clause."""

from __future__ import annotations

from typing import Any, Literal, get_args

Verdict = Literal["broken", "known", "kept", "vacuous", "not run"]
"""What is known of a clause, or came of a test; the worst first."""

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
"""Every verdict, the worst first."""

SIGNS = {"kept": "✓", "known": "△", "broken": "✗", "vacuous": "○", "not run": "·"}
"""How a verdict is drawn, in the order of a legend."""

MEANINGS = {
    "kept": "every test of the clause that ran passed",
    "known": "it departs from the contract in the way that the backend's ledger records",
    "broken": "a test failed that the ledger does not record, or a recorded one passed",
    "vacuous": "its tests ran and could not have failed on this store, so nothing is known",
    "not run": "the index does not declare what its tests need, or they were not selected",
}
"""What each verdict says of a clause."""

_EARLIER = {"pass": "kept", "deviation": "known", "fail": "broken", "not-run": "not run"}
"""What reports of form 1 called them."""


def translated(report: dict[str, Any]) -> dict[str, Any]:
    """Return a report of form 1 with the words of today."""
    return {
        **report,
        "totals": {_today(verdict): count for verdict, count in report["totals"].items()},
        "clauses": {
            name: {**judged, "verdict": _today(judged["verdict"])}
            for name, judged in report["clauses"].items()
        },
        "tests": [{**test, "verdict": _today(test["verdict"])} for test in report["tests"]],
    }


def _today(verdict: str) -> str:
    return _EARLIER.get(verdict, verdict)
