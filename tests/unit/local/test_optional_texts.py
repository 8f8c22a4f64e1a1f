"""Strings that may be missing, and lists of them, in the file of a local store."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import numpy as np
import pytest

import vecbridge


@pytest.mark.parametrize("values", [["a", None], [None, "a"], [None, None]])
def test_a_string_that_may_be_missing_is_kept(tmp_path: Path, values: list[str | None]) -> None:
    with vecbridge.get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("photos", dimension=1, fields={"label": "string?"})
        index.upsert(["one", "two"], [[1], [2]], {"label": values})
    with vecbridge.get_backend("sklearn", path=tmp_path) as store:
        assert store.open_index("photos").fetch(["one", "two"]).fields == {"label": values}


@pytest.mark.parametrize("kind", ["string?", "strings"])
def test_long_values_are_written_in_pieces(tmp_path: Path, kind: vecbridge.FieldType) -> None:
    # A value of 60 kB is at most 720 kB of JSON, and a piece at most 1 MiB.
    text = "x" * 60_000
    values = [None, *[text] * 4] if kind == "string?" else [[], *[[text]] * 4]
    with vecbridge.get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("photos", dimension=1, fields={"label": kind})
        index.upsert(list("abcde"), np.zeros((5, 1)), {"label": values})
        with sqlite3.connect(tmp_path / "records.vecbridge") as connection:
            (count,) = connection.execute("SELECT count(*) FROM segments").fetchone()
        connection.close()
    assert count >= 4
