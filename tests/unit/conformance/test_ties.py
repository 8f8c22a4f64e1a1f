"""An approximate store that keeps any of the tied records, as the contract lets it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, ClassVar
from zlib import crc32

import numpy as np
import pytest

import vecbridge
from tests.unit.conformance.conftest import BACKEND
from tests.unit.conformance.test_mutants import fails, own_tests
from vecbridge import Candidates, Scope
from vecbridge.ranking import distances
from vecbridge_conformance import Deployment, Harness
from vecbridge_conformance.mutants import MutantSettings, ReferenceBackend, ReferenceIndex


class AnyOfTheTied(ReferenceIndex):
    """Gives k candidates without a bound; which of the tied ones depends on k."""

    declared: ClassVar = {"exact": False}

    def candidates(self, queries: Any, k: int, scope: Scope) -> list[Candidates]:
        found = super().candidates(queries, max(len(self.rows(None)), 1), scope)
        return [self._cut(each, query, k) for query, each in zip(queries, found, strict=True)]

    def _cut(self, found: Candidates, query: Any, k: int) -> Candidates:
        shuffled = np.array([crc32(f"{k} {name}".encode()) for name in found.ids])
        order = np.lexsort((shuffled, distances(self.info.metric, query, found.vectors)))
        return replace(found.take(order[:k]), lower_bound=-np.inf)


class TiedBackend(ReferenceBackend):
    index_type = AnyOfTheTied


def opened() -> vecbridge.Store:
    return vecbridge.Store(TiedBackend(MutantSettings()))


@pytest.mark.parametrize("layer", ["faults", "properties"])
def test_which_of_the_tied_an_approximate_store_keeps_breaks_no_clause(layer: str) -> None:
    with Harness(Deployment(BACKEND, {}, "tied", None, opened)) as harness:
        failures = [text for case in own_tests(layer) if (text := fails(case, harness))]
    assert failures == []
