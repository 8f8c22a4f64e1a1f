"""A random walk over every operation, beside a dict that does the same."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)

from vecbridge import METRICS, Metric
from vecbridge_conformance import Harness, clause, requires
from vecbridge_conformance.checks import Model, assert_same_hits
from vecbridge_conformance.properties import (
    DIMENSION,
    Drawn,
    effort,
    ids,
    queries,
    records,
    same_draws,
    seconds_per_example,
)

_BUDGET_S = 20.0
_STEPS = 20


@clause("WRITE-1", "WRITE-2", "WRITE-5", "READ-1", "READ-5", "READ-6", "RANK-3", "SEARCH-7")
@requires("exact")
@pytest.mark.parametrize("metric", METRICS)
def test_every_history_of_calls_agrees_with_a_dict(harness: Harness, metric: Metric) -> None:
    """Look at the last call of the script: the calls before it are the shortest way there."""

    class Machine(_Machine):
        under_test = harness
        measured_by = metric

    # An example has a few times the calls of the one that was measured.
    most = _BUDGET_S / (6 * seconds_per_example(harness))
    settings = effort(int(min(25, max(3, most))), steps=_STEPS)
    with same_draws():
        run_state_machine_as_test(Machine, settings=settings)


class _Machine(RuleBasedStateMachine):
    """Bundles make ids come back, so that records are replaced and deleted, not only inserted."""

    under_test: Harness
    measured_by: Metric

    known = Bundle("known")

    @initialize()
    def start(self) -> None:
        self.model = Model(DIMENSION, self.measured_by)
        self.index = self.under_test.index(
            dimension=DIMENSION, metric=self.measured_by, consistency="strong"
        )

    def teardown(self) -> None:
        if hasattr(self, "index"):
            self.under_test.release(self.index)

    @rule(target=known, drawn=records(most=6))
    def insert(self, drawn: Drawn) -> Any:
        self.index.upsert(drawn.ids, drawn.vectors)
        self.model.upsert(drawn.ids, drawn.vectors)
        return multiple(*drawn.ids)

    @rule(name=known, vector=queries(most=1))
    def replace(self, name: str, vector: Any) -> None:
        self.index.upsert([name], vector)
        self.model.upsert([name], vector)

    @rule(names=st.lists(consumes(known), max_size=3), others=st.lists(ids(), max_size=2))
    def delete(self, names: list[str], others: list[str]) -> None:
        self.index.delete([*names, *others])
        self.model.delete([*names, *others])

    @rule(names=st.lists(st.one_of(known, ids()), max_size=5, unique=True))
    def fetch(self, names: list[str]) -> None:
        self.model.check_records(self.index.fetch(names), names)
        found = self.index.contains(names).tolist()
        assert found == [name in self.model.records for name in names]

    @rule(asked=queries(), k=st.integers(1, 12))
    def search(self, asked: Any, k: int) -> None:
        for query, hits in zip(asked, self.index.search(asked, k), strict=True):
            assert_same_hits(hits, self.model.search(query, k))

    @rule(asked=queries(most=2), k=st.integers(1, 5), names=st.lists(known, max_size=5))
    def search_within(self, asked: Any, k: int, names: list[str]) -> None:
        for query, hits in zip(asked, self.index.search(asked, k, within=names), strict=True):
            assert_same_hits(hits, self.model.search(query, k, within=names))

    @rule(size=st.integers(1, 5))
    def scan(self, size: int) -> None:
        self.model.check_all(self.index.scan(size))

    @precondition(lambda self: self.under_test.capabilities.durable)
    @rule()
    def reopen(self) -> None:
        self.index = self.under_test.reopen(self.index)

    @invariant()
    def counts_agree(self) -> None:
        if hasattr(self, "index"):
            assert self.index.count() == len(self.model.records)
