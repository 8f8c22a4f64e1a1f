"""No command prints the secret of an address, wherever on the command line it stands (ERR-7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.addresses import WELL_FORMED, malformed, shows
from tests.unit.cli.conftest import Run

MALFORMED = [each for each in malformed(7, 40) if "\0" not in each and "\ud800" not in each]
ADDRESSES = [*WELL_FORMED, *MALFORMED[::150]]

COMMANDS: list[Sequence[str]] = [
    ("list", "milvus", "-o", "timeout=0.1", "-o", "uri={}"),
    ("list", "milvus", "-o", "{}"),
    ("list", "milvus", "-o", "{}=x"),
    ("list", "sklearn", "-o", "path={}"),
    ("list", "milvus", "-o", "index_params={}"),
    ("list", "milvus", "-o", "metric={}"),
    ("config", "show", "sklearn", "-o", "path={}"),
    ("import", "{}", "sklearn", "photos"),
    ("export", "sklearn", "photos", "{}"),
    ("list", "{}"),
    ("list", "milvus", "{}"),
    ("{}",),
    ("config", "show", "milvus", "-o", "uri={}"),
    ("config", "show", "milvus", "-o", "db_name={}"),
    ("config", "show", "{}"),
    ("doctor", "milvus", "-o", "uri={}", "-o", "timeout=0.1"),
    ("doctor", "{}"),
    ("describe", "sklearn", "{}"),
    ("search", "{}", "photos", "--id", "x"),
    ("search", "sklearn", "photos", "--vector", "{}"),
    ("bench", "sklearn", "--records", "{}"),
    ("bench", "sklearn", "--metric", "{}"),
    ("backends", "--live", "{}"),
    ("copy", "{}", "sklearn:photos"),
    ("copy", "{}:photos", "sklearn:photos"),
    ("copy", "sklearn:photos", "{}"),
    ("verify", "sklearn:photos", "sklearn:photos", "-f", "{}"),
    ("report", "sklearn", "photos", "--{}"),
]


@pytest.mark.slow
@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
@pytest.mark.parametrize("json", [(), ("--json",)], ids=["people", "programs"])
def test_no_command_prints_it(
    run: Run,
    words: Sequence[str],
    json: Sequence[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for address in ADDRESSES:
        ran = run(*(word.replace("{}", address) for word in words), *json)
        assert ran.code != 0 or words[0] in {"config", "list"}
        assert not shows(ran.out + ran.err), (address, ran)
