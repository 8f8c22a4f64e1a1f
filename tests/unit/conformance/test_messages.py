"""What a failure says: what was tried and what came of it, in the store's own words."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis.errors import FlakyStrategyDefinition

import vecbridge
from tests.unit.conformance.conftest import BACKEND
from tests.unit.conformance.test_mutants import fails, own_tests
from vecbridge import ConnectionFailedError, IndexNotFoundError, Records
from vecbridge_conformance import Deployment, Harness, Mark, Session
from vecbridge_conformance.mutants import MutantSettings, ReferenceBackend, ReferenceIndex


class WordlessBackend(ReferenceBackend):
    """Says nothing of what it does not find."""

    def open_index(self, name: str) -> ReferenceIndex:
        if name not in self.index_names():
            raise IndexNotFoundError("no")
        return super().open_index(name)


class RawBackend(ReferenceBackend):
    """Raises what its driver raises."""

    def open_index(self, name: str) -> ReferenceIndex:
        if name not in self.index_names():
            raise KeyError("relation does not exist")
        return super().open_index(name)


class RoundingIndex(ReferenceIndex):
    """Changes the last number of long vectors."""

    def fetch(self, ids: Sequence[str], *, vectors: bool, consistency: Any) -> Records:
        found = super().fetch(ids, vectors=vectors, consistency=consistency)
        if self.info.dimension > 5000:
            found.vectors[:, -1] += np.float32(1)
        return found


class RoundingBackend(ReferenceBackend):
    index_type = RoundingIndex


def opened(kind: type[ReferenceBackend]) -> vecbridge.Store:
    return vecbridge.Store(kind(MutantSettings()))


def failure(kind: type[ReferenceBackend], test: str) -> str:
    """Return the message of the one case of a test that fails."""
    with Harness(Deployment(BACKEND, {}, "x", None, partial(opened, kind))) as harness:
        cases = [case for case in own_tests() if case.id == test]
        (found,) = [message for case in cases if (message := fails(case, harness))]
    return found


ERRORS = "test_errors_of_usage_are_builtins_too_and_say_what_was_given"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        (
            WordlessBackend,
            "of an unknown name raises IndexNotFoundError: no, which does not say ['absent_index']",
        ),
        (
            RawBackend,
            "of an unknown name raises KeyError: 'relation does not exist', no VecbridgeError",
        ),
    ],
)
def test_of_several_attempts_the_message_names_the_one_that_failed(
    kind: type[ReferenceBackend], expected: str
) -> None:
    assert f"open_index {expected}" in failure(kind, ERRORS)


def test_a_long_vector_that_came_back_wrong_takes_a_line_to_show() -> None:
    message = failure(RoundingBackend, "test_every_dimension_up_to_the_largest_works[32768]")
    assert "1 of 32768 numbers differ, the first at [0, 32767]" in message
    assert len(message) < 500


def test_behind_an_error_of_hypothesis_stands_the_stores_own() -> None:
    session = Session(Deployment("sklearn"), ledger=[])
    error = FlakyStrategyDefinition("Inconsistent data generation!")
    error.__cause__ = ConnectionFailedError(
        "sorry, too many clients already", backend="pgvector", operation="connect"
    )
    reason = session.record("test_x", "stateful", Mark(("READ-3",)), error, 0.1).reason
    assert reason.startswith("FlakyStrategyDefinition: Inconsistent data generation!; behind it")
    assert "ConnectionFailedError: sorry, too many clients already" in reason
