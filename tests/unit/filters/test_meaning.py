"""Random filters mean the same on every store of this process, however they are asked.

``VECBRIDGE_FILTERS`` says how many; 20 000 take some two minutes a store.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.filters.asking import counted, differences, how_many
from tests.filters.making import FIELDS, conditions, fill
from vecbridge import Index

BACKENDS: dict[str, tuple[str, dict[str, Any]]] = {
    "sklearn": ("sklearn", {}),
    "sklearn on disk": ("sklearn", {"path": "vectors.db"}),
    "faiss": ("faiss", {}),
    "torch": ("torch", {"device": "cpu"}),
}


@pytest.fixture(params=BACKENDS)
def index(request: pytest.FixtureRequest, tmp_path: Path) -> Index:
    """The hostile records on one of the stores."""
    name, options = BACKENDS[request.param]
    if "path" in options:
        options = {"path": str(tmp_path / options["path"])}
    store = vecbridge.get_backend(name, **options)
    return fill(store.create_index("f", dimension=2, metric="euclidean", fields=FIELDS))


@pytest.mark.slow
def test_every_store_answers_or_refuses_a_filter_as_it_means(index: Index) -> None:
    asked = conditions(how_many(1500), seed=1)
    kinds = counted(asked)

    assert min(kinds["refused"], kinds["nothing"], kinds["records"]) > len(asked) // 20
    assert differences(index, asked) == []
