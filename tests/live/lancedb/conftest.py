"""Stores of LanceDB in a folder."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import lancedb
import pytest

import vecbridge
from vecbridge import Store

Opener = Callable[..., Store]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the tables are."""
    return tmp_path / "tables"


@pytest.fixture
def raw(folder: Path) -> Any:
    """A connection past vecbridge."""
    return lancedb.connect(str(folder))


@pytest.fixture
def opened(folder: Path) -> Iterator[Opener]:
    """Opens stores there, and closes them at the end."""
    with ExitStack() as stack:

        def opener(**options: Any) -> Store:
            given = {"uri": str(folder), **options}
            return stack.enter_context(vecbridge.get_backend("lancedb", **given))

        yield opener
