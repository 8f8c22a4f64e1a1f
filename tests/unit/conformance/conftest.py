"""The reference backend and its mutants, installed for this run under a name of their own."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

BACKEND = "conformance_mutant"


@pytest.fixture(scope="session", autouse=True)
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Makes the mutants a backend that ``get_backend`` finds, as it finds any installed one."""
    folder = tmp_path_factory.mktemp("installed")
    package: Path = folder / "conformance_mutant-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: conformance-mutant\nVersion: 1\n"
    )
    (package / "entry_points.txt").write_text(
        f"[vecbridge.backends]\n{BACKEND} = vecbridge_conformance.mutants:MutantBackend\n"
    )
    # Other processes are given this process's path, so they find it too.
    sys.path.insert(0, os.fspath(folder))
    importlib.invalidate_caches()
    yield BACKEND
    sys.path.remove(os.fspath(folder))
    importlib.invalidate_caches()
