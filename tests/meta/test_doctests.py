"""Every example in a docstring runs, and gives what it says."""

from __future__ import annotations

import doctest
import importlib
from pathlib import Path

import pytest

from tests.meta.source import modules

# These talk to FiftyOne's database, which the fast tests do without.
WITH_SERVERS = ("vecbridge.fiftyone", "vecbridge.demo")
MODULES = [
    name
    for name, path in modules()
    if ">>> " in path.read_text(encoding="utf-8") and not name.startswith(WITH_SERVERS)
]


@pytest.mark.parametrize("name", MODULES)
def test_the_examples_of_a_module_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    results = doctest.testmod(importlib.import_module(name), optionflags=doctest.ELLIPSIS)

    assert results.attempted > 0
    assert results.failed == 0


def test_the_front_page_of_the_package_has_an_example() -> None:
    assert "vecbridge" in MODULES
