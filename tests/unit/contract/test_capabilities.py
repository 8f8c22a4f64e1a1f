"""What a live index declares, as programs and people read it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from tests.engine import CAPABILITIES
from vecbridge import Capabilities, Index, UnsupportedError, VectorIndex, field, get_backend
from vecbridge.filters import FILTER_OPERATORS


class EqualityAlone:
    """An engine that declares that it evaluates equality alone."""

    def __init__(self, engine: VectorIndex) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @property
    def capabilities(self) -> Capabilities:
        return replace(self._engine.capabilities, filters=frozenset({"=="}))


def test_no_capability_has_a_silent_default() -> None:
    with pytest.raises(TypeError, match="max_dimension"):
        Capabilities(exact=True)  # type: ignore[call-arg]
    assert CAPABILITIES.max_dimension == 32768


def test_local_engines_evaluate_every_filter_and_list_the_farthest() -> None:
    for backend in ("sklearn", "faiss", "torch"):
        with get_backend(backend) as store:
            declared = store.create_index("t", dimension=2).capabilities
        assert declared.filters == FILTER_OPERATORS
        assert declared.farthest
        assert declared.range_search is (backend == "faiss")


def test_candidates_of_a_filter_that_the_engine_does_not_evaluate_are_refused() -> None:
    with get_backend("sklearn") as store:
        index = store.create_index("t", dimension=1, metric="euclidean", fields={"n": "integer"})
        index.upsert(["a", "b"], [[0], [1]], {"n": [1, 2]})
        limited = Index(cast("VectorIndex", EqualityAlone(index.engine)))
        assert limited.candidates([0], 2, where=field("n") == 2)[0].ids == ("b",)
        assert limited.search([0], 2, where=field("n") > 1)[0].ids == ("b",)
        with pytest.raises(UnsupportedError, match="search"):
            limited.candidates([0], 2, where=field("n") > 1)
