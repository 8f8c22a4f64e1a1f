"""One deployment in one run: its harness, its ledger, and what came of each test."""

from __future__ import annotations

import time
from collections import defaultdict
from functools import cached_property
from pathlib import Path
from typing import Any

from vecbridge_conformance import _facts
from vecbridge_conformance._catalogue import reason_not_to_run
from vecbridge_conformance._clauses import Mark, Vacuous, clauses
from vecbridge_conformance._deployment import Deployment
from vecbridge_conformance._deviations import Deviation, ledger_of
from vecbridge_conformance._harness import Harness
from vecbridge_conformance._reproducer import reproducer
from vecbridge_conformance._secrets import shown_options
from vecbridge_conformance._verdicts import Outcome, Verdict
from vecbridge_conformance._watch import LIMIT_S, Watch


class Session:
    """Collects what a run finds out about one deployment.

    Args:
        deployment: what is under test.
        folder: where the arrays of reproducers are kept.
        limit_s: seconds that a test may take; 0 for no limit.

    Attributes:
        harness: what its tests are given.
        watch: ends tests that take too long.
        outcomes: what came of each test so far.
        partial: whether tests were left out by choice, or the run was stopped.
        seconds: spent on each layer, on making, emptying and dropping its indexes too.
    """

    def __init__(
        self, deployment: Deployment, folder: Path | None = None, limit_s: float = LIMIT_S
    ) -> None:
        self.harness = Harness(deployment)
        self.watch = Watch(limit_s, self.harness.recorder.pending)
        self._folder = folder
        self.outcomes: list[Outcome] = []
        self.partial = False
        self.seconds: dict[str, float] = defaultdict(float)
        self._started = time.time()
        self._shown: list[Deviation] = []

    @cached_property
    def ledger(self) -> list[Deviation]:
        """The deviations that the backend admits for this deployment."""
        return ledger_of(self.harness.store.backend, self.harness.capabilities)

    @cached_property
    def surroundings(self) -> dict[str, Any]:
        """Versions and capabilities, read while the store is open."""
        return {
            "versions": _facts.versions(self.harness.store),
            "options": shown_options(self.harness.deployment),
            "capabilities": _facts.capability_values(self.harness.capabilities),
        }

    @property
    def started(self) -> float:
        """Return when the run began, in seconds since 1970."""
        return self._started

    def reason_not_to_run(self, mark: Mark) -> str | None:
        """Return why a test has nothing to look at here, or ``None``."""
        return reason_not_to_run(mark, self.harness.capabilities)

    def record(
        self, test: str, layer: str, mark: Mark, error: BaseException | None, seconds: float
    ) -> Outcome:
        """Take down what came of a test that ran, and judge it by the ledger."""
        shown = len(self._shown)
        verdict, reason = self._judge(test, mark, error)
        # A known departure is one of its own clause; of the others that it cites, the test that
        # ended with it tells nothing.
        known = tuple(dict.fromkeys(each.clause for each in self._shown[shown:]))
        outcome = Outcome(test, layer, known or mark.clauses, verdict, reason, seconds)
        self.outcomes.append(outcome)
        return outcome

    def leave_out(self, test: str, layer: str, mark: Mark, reason: str) -> None:
        """Take down that a test did not run, and why."""
        self.outcomes.append(Outcome(test, layer, mark.clauses, "not-run", reason))

    def unexpected_passes(self) -> list[Outcome]:
        """Return the ledger's entries that nothing showed although all ran that could."""
        return [
            Outcome(
                f"deviations.toml[{deviation.clause}]",
                "semantics",
                (deviation.clause,),
                "fail",
                f"the ledger says: {deviation.reason}. No test shows it any more: remove the entry",
            )
            for deviation in self.ledger
            if deviation not in self._shown and self._ran_whole(deviation)
        ]

    def explanation(self, mark: Mark) -> str:
        """Return what is shown with a failure: the clauses, and how to see it happen again."""
        cited = [f"{name}. {clauses()[name].text}" for name in mark.clauses]
        script = reproducer(self.harness.recorder, self._folder)
        again = f"\nTo see it again, run this:\n\n{script}\n" if script else ""
        return "The contract says:\n  " + "\n  ".join(cited) + "\n" + again

    def _judge(self, name: str, mark: Mark, error: BaseException | None) -> tuple[Verdict, str]:
        known = [each for each in self.ledger if each.is_about(name, mark.clauses)]
        if isinstance(error, Vacuous):
            return "vacuous", str(error.msg).removeprefix("vacuous: ")
        if error is None:
            wrong = next((each for each in known if each.names_only(name)), None)
            if wrong is None or wrong in self._shown:
                return "pass", ""
            return "fail", f"passes, although the ledger says: {wrong.reason}. Remove the entry"
        shown = next((each for each in known if each.explains(error)), None)
        if shown is None:
            return "fail", _told(error)
        self._shown.append(shown)
        return "deviation", f"{shown.kind}: {shown.reason} ({shown.link})"

    def _ran_whole(self, deviation: Deviation) -> bool:
        if self.partial and not deviation.test:
            return False
        about = [
            outcome
            for outcome in self.outcomes
            if deviation.is_about(outcome.test, outcome.clauses)
        ]
        return bool(about) and not any(outcome.verdict in {"not-run", "fail"} for outcome in about)


def _told(error: BaseException) -> str:
    """Return an error, or the error behind one of hypothesis's own, which says little."""
    told = f"{type(error).__name__}: {_first_line(error)}"
    if not type(error).__module__.startswith("hypothesis"):
        return told
    held: list[BaseException | None] = [*getattr(error, "exceptions", ())]
    behind = next(filter(None, [*held, error.__cause__, error.__context__]), None)
    return told if behind is None else f"{told}; behind it {_told(behind)}"


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), "")[:300]
