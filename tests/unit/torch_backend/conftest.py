"""The records are taken to the device at the first query, not after sixteen."""

from __future__ import annotations

import pytest


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("vecbridge_torch._cache._PATIENCE", 0)
