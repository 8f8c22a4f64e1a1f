"""The names of fields that a read is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import InvalidArgumentError


@pytest.mark.parametrize(
    "wrong", ["n", b"n", 7, np.array("n"), [["n"]], ["other"], {"n": 1, "m": 2}]
)
def test_what_names_no_fields_is_refused(wrong: Any) -> None:
    store = vecbridge.get_backend("sklearn")
    index = store.create_index("t", dimension=1, fields={"n": "integer"})
    for read in (index.scan, lambda **how: index.fetch(["a"], **how)):
        with pytest.raises(InvalidArgumentError, match="field"):
            read(fields=wrong)


@pytest.mark.parametrize("none", [None, False, [], ()])
def test_no_names_return_no_fields(none: Any) -> None:
    store = vecbridge.get_backend("sklearn")
    index = store.create_index("t", dimension=1, fields={"n": "integer"})
    index.upsert(["a"], [[1]], {"n": [1]})
    assert not next(index.scan(fields=none)).fields
    assert not index.fetch(["a"], fields=none).fields
    assert next(index.scan()).fields == {"n": [1]}
