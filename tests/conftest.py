"""Fixtures of the whole suite: real servers, started when a test asks for one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.servers import given_milvus

# Before anything imports it, in this process or in one that a test starts.
os.environ["HAYSTACK_TELEMETRY_ENABLED"] = "False"

pytest_plugins = ["tests.servers.fixtures"]

_UNIT = Path(__file__).parent / "unit"
_SLOW = (
    _UNIT / "faiss_backend",
    _UNIT / "torch_backend",
    _UNIT / "local" / "test_engines.py",
    _UNIT / "conformance" / "test_mutants.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Marks the tests that take longest, which ``make test-fast`` leaves to ``make test``.

    Where a Milvus is given, only the tests that would ask it are run.
    """
    if given_milvus.URI:
        others = [item for item in items if not given_milvus.is_for_server(item)]
        config.hook.pytest_deselected(items=others)
        items[:] = [item for item in items if given_milvus.is_for_server(item)]
    for item in items:
        if any(item.path.is_relative_to(place) for place in _SLOW):
            item.add_marker(pytest.mark.slow)
