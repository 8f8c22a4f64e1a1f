"""The embedded engine: one folder, one process, any number of stores in it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import vecbridge

_OPEN = """
import sys, vecbridge
try:
    with vecbridge.get_backend("qdrant", path=sys.argv[1], retry_timeout=0) as store:
        print(store.index_names())
except vecbridge.BackendError as error:
    print(type(error).__name__, error)
"""


def by_another_process(path: Path) -> str:
    command = [sys.executable, "-c", _OPEN, str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_the_stores_of_a_process_share_a_folder_and_no_other_process_has_it(tmp_path: Path) -> None:
    path = tmp_path / "here"
    with vecbridge.get_backend("qdrant", path=path) as one:
        one.create_index("a", dimension=2, metric="euclidean").upsert(["x"], [[3, 4]])
        with vecbridge.get_backend("qdrant", path=os.path.relpath(path)) as other:
            assert other.open_index("a").search([0, 0], k=1)[0].distances.tolist() == [5.0]
        assert one.open_index("a").count() == 1
        refused = by_another_process(path)
        assert refused.startswith("ConnectionFailedError")
        assert "Another process has the folder" in refused
    assert by_another_process(path) == "['a']\n"
