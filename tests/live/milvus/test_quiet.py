"""Nothing is written to the user's terminal when all is well."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import vecbridge


def test_lite_warns_of_nothing_and_prints_nothing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(2):
        with vecbridge.get_backend("milvus", uri=str(tmp_path / "quiet.db")) as store:
            if not store.index_names():
                store.create_index("photos", dimension=2).upsert(["a", "b"], [[1, 2], [2, 1]])
            assert store.open_index("photos").search([1, 2], k=1)[0].ids == ("a",)
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []
    assert capfd.readouterr() == ("", "")
