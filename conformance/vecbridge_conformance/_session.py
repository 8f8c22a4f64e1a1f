"""One deployment in one run: what came of each test, and the verdict on each clause."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import vecbridge
from vecbridge_conformance._catalogue import LAYERS
from vecbridge_conformance._clauses import Mark, Vacuous, clauses
from vecbridge_conformance._deployment import Deployment
from vecbridge_conformance._harness import Effort, Harness
from vecbridge_conformance._verdicts import VERDICTS, Verdict
from vecbridge_conformance._watch import LIMIT_S, Watch
from vecbridge_conformance.deviations import Deviation, capability_values, ledger_of
from vecbridge_conformance.reports import SCHEMA, suite_hash, versions


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


class Session:
    """Collects what a run finds out about one deployment.

    Args:
        deployment: what is under test.
        folder: where the arrays of reproducers are kept.
        limit_s: seconds that a test may take; 0 for no limit.
        ledger: the known deviations; those that the backend's package admits by default.
        effort: how much the long tests do.

    Attributes:
        deployment: what is under test.
        harness: what its tests are given.
        started: when the run began, in seconds since 1970.
        watch: ends tests that take too long.
        outcomes: what came of each test so far.
        partial: whether tests were left out by choice, or the run was stopped.
        seconds: spent on each layer, on making, emptying and dropping its indexes too.
    """

    def __init__(
        self,
        deployment: Deployment,
        folder: Path | None = None,
        limit_s: float = LIMIT_S,
        *,
        ledger: Sequence[Deviation] | None = None,
        effort: Effort | None = None,
    ) -> None:
        self.deployment = deployment
        self.harness = Harness(deployment, effort)
        self.watch = Watch(limit_s, self.harness.recorder.pending)
        self._folder = folder
        self.outcomes: list[Outcome] = []
        self.partial = False
        self.seconds: dict[str, float] = defaultdict(float)
        self.started = time.time()
        self._given_ledger = ledger
        self._departures: list[Deviation] = []

    @cached_property
    def ledger(self) -> list[Deviation]:
        """Return the known deviations of this deployment."""
        if self._given_ledger is not None:
            return list(self._given_ledger)
        return ledger_of(self.harness.store.backend, self.harness.capabilities)

    @cached_property
    def surroundings(self) -> dict[str, Any]:
        """Return versions and capabilities, read while the store is open."""
        return {
            "versions": versions(self.harness.store),
            "options": self.deployment.shown_options(),
            "capabilities": capability_values(self.harness.capabilities),
        }

    def record(
        self, test: str, layer: str, mark: Mark, error: BaseException | None, seconds: float
    ) -> Outcome:
        """Take down what came of a test that ran, and judge it by the ledger."""
        before = len(self._departures)
        verdict, reason = self._judge(test, mark, error)
        # A known departure is one of its own clause; of the others that it cites, the test that
        # ended with it tells nothing.
        known = tuple(dict.fromkeys(each.clause for each in self._departures[before:]))
        outcome = Outcome(test, layer, known or mark.clauses, verdict, reason, seconds)
        self.outcomes.append(outcome)
        return outcome

    def leave_out(self, test: str, layer: str, mark: Mark, reason: str) -> None:
        """Take down that a test did not run, and why."""
        self.outcomes.append(Outcome(test, layer, mark.clauses, "not run", reason))

    def unexpected_passes(self) -> list[Outcome]:
        """Return the ledger's entries that nothing showed although all ran that could."""
        return [
            Outcome(
                f"deviations.toml[{deviation.clause}]",
                "semantics",
                (deviation.clause,),
                "broken",
                f"the ledger says: {deviation.reason}. No test shows it any more: remove the entry",
            )
            for deviation in self.ledger
            if deviation not in self._departures and self._ran_whole(deviation)
        ]

    def explanation(self, mark: Mark) -> str:
        """Return what is shown with a failure: the clauses, and how to see it happen again."""
        cited = [f"{name}. {clauses()[name].text}" for name in mark.clauses]
        script = self.harness.recorder.script(self._folder)
        again = f"\nTo see it again, run this:\n\n{script}\n" if script else ""
        return "The contract says:\n  " + "\n  ".join(cited) + "\n" + again

    def report(self) -> dict[str, Any]:
        """Return what was found, in the form that :mod:`vecbridge_conformance.reports` reads."""
        judged = {name: self._verdict_on(name) for name in clauses()}
        found = Counter(each["verdict"] for each in judged.values())
        return {
            "schema": SCHEMA,
            "label": self.deployment.label,
            "backend": self.deployment.backend,
            "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.started)),
            "contract_version": vecbridge.contract_version,
            "suite": suite_hash(),
            "partial": self.partial,
            "conforms": not found["broken"],
            **self.surroundings,
            "seconds": {
                layer: round(self.seconds[layer], 2) for layer in LAYERS if layer in self.seconds
            },
            "wall_seconds": round(time.time() - self.started, 2),
            "totals": {verdict: found[verdict] for verdict in VERDICTS},
            "clauses": judged,
            "tests": [
                {**asdict(outcome), "clauses": list(outcome.clauses)} for outcome in self.outcomes
            ],
        }

    def _verdict_on(self, clause: str) -> dict[str, Any]:
        """Return the worst of what the tests of a clause found, why, and how many ran.

        What proved nothing or did not run counts only where nothing else did.
        """
        outcomes = [each for each in self.outcomes if clause in each.clauses]
        ran = sum(each.verdict != "not run" for each in outcomes)
        if not outcomes:
            return {"verdict": "not run", "reason": "no test of it was selected", "tests": ran}
        verdict = min((each.verdict for each in outcomes), key=VERDICTS.index)
        reasons = (each.reason for each in outcomes if each.verdict == verdict and each.reason)
        reason = _in_part(outcomes) if verdict == "kept" else next(reasons, "")
        return {"verdict": verdict, "reason": reason, "tests": ran}

    def _judge(self, name: str, mark: Mark, error: BaseException | None) -> tuple[Verdict, str]:
        known = [each for each in self.ledger if each.is_about(name, mark.clauses)]
        if isinstance(error, Vacuous):
            return "vacuous", str(error.msg).removeprefix("vacuous: ")
        if error is None:
            wrong = next((each for each in known if each.names_only(name)), None)
            if wrong is None or wrong in self._departures:
                return "kept", ""
            return "broken", f"passes, although the ledger says: {wrong.reason}. Remove the entry"
        departure = next((each for each in known if each.explains(error)), None)
        if departure is None:
            return "broken", _reason(error)
        self._departures.append(departure)
        return "known", f"{departure.kind}: {departure.reason} ({departure.link})"

    def _ran_whole(self, deviation: Deviation) -> bool:
        if self.partial and not deviation.test:
            return False
        about = [
            outcome
            for outcome in self.outcomes
            if deviation.is_about(outcome.test, outcome.clauses)
        ]
        verdicts = {outcome.verdict for outcome in about}
        return bool(about) and verdicts.isdisjoint({"not run", "broken"})


def _in_part(outcomes: Sequence[Outcome]) -> str:
    """Return which tests of a clause could not have failed; empty where all could."""
    vacuous = [each for each in outcomes if each.verdict == "vacuous"]
    if not vacuous:
        return ""
    tests = ", ".join(each.test for each in vacuous)
    return f"in part: {tests} could not have failed ({vacuous[0].reason})"


def _reason(error: BaseException) -> str:
    """Return an error, or the error behind one of hypothesis's own, which says little."""
    first_line = next(iter(str(error).splitlines()), "")[:300]
    reason = f"{type(error).__name__}: {first_line}"
    if not type(error).__module__.startswith("hypothesis"):
        return reason
    held: list[BaseException | None] = [*getattr(error, "exceptions", ())]
    behind = next(filter(None, [*held, error.__cause__, error.__context__]), None)
    return reason if behind is None else f"{reason}; behind it {_reason(behind)}"
