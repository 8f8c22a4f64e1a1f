"""Random filters over every type of field are answered alike, however much of them is pushed down.

The long form is ``make filters``.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from tests.filters.asking import how_many
from tests.filters.differential import compare, fields_of
from vecbridge import Capabilities, Index, VectorIndex, get_backend
from vecbridge.filters import FILTER_OPERATORS

STORES: dict[str, tuple[str, dict[str, Any]]] = {
    "sklearn": ("sklearn", {}),
    "faiss": ("faiss", {"path": "records"}),
    "torch": ("torch", {"device": "cpu"}),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", STORES)
def test_local_stores_are_given_every_filter_whole(name: str, tmp_path: Path) -> None:
    backend, options = STORES[name]
    options = {key: str(tmp_path) if key == "path" else value for key, value in options.items()}
    with get_backend(backend, **options) as store:
        index = store.create_index("f", dimension=2, metric="euclidean", fields=fields_of(store))
        outcome = compare(index, how_many(800), seed=1)
    assert outcome.wrong == []
    assert outcome.whole == outcome.filters - outcome.decided > outcome.filters // 2
    assert outcome.pushed == outcome.conditions


class Limited:
    """An engine that declares some operators, and not on every type of field."""

    def __init__(self, engine: VectorIndex, lacking: set[str], excepted: set[Any]) -> None:
        self._engine = engine
        self._lacking = lacking
        self._excepted = excepted

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    @property
    def capabilities(self) -> Capabilities:
        return replace(
            self._engine.capabilities,
            filters=FILTER_OPERATORS - self._lacking,
            filters_except=frozenset(self._excepted),
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    ("lacking", "excepted"),
    [
        ({"contains", "contains_any", "is_missing"}, set()),
        (set(), {("strings", "contains"), ("strings?", "contains"), ("string?", "<")}),
        ({"~", "is_in"}, set()),
        ({"|", ">="}, {("timestamp", "=="), ("boolean?", "==")}),
    ],
    ids=["operators", "types", "no not", "no or"],
)
def test_what_is_pushed_in_part_is_decided_by_the_whole(lacking: Any, excepted: Any) -> None:
    with get_backend("sklearn") as store:
        made = store.create_index("f", dimension=2, metric="euclidean", fields=fields_of(store))
        index = Index(cast("VectorIndex", Limited(made.engine, lacking, excepted)))
        outcome = compare(index, how_many(500), seed=2)
    assert outcome.wrong == []
    assert 0 < outcome.part < outcome.filters
    assert outcome.whole > 0
    assert outcome.pushed < outcome.conditions
