"""No command prints the secret of an address, wherever on the command line it stands (ERR-7)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.addresses import SECRET, WELL_FORMED, malformed, shows
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
    ("search", "sklearn", "photos", "--vector-file", "{}"),
    ("search", "sklearn", "photos", "--vector", "1", "--fields", "{}"),
    ("count", "sklearn", "photos", "--where", "{}"),
    ("count", "sklearn", "photos", "--where=label = {}"),
    ("count", "sklearn", "photos", "--where", 'label = "{}"'),
    ("count", "sklearn", "photos", "--where", "label == '{}' and x = 1"),
    ("delete", "sklearn", "photos", "--ids", "{}"),
    ("drop", "sklearn", "{}", "--yes"),
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


@pytest.mark.parametrize(
    "where",
    [
        f'label = "http://me:{SECRET}@host"',
        f"label == 'mongodb://me:{SECRET}@host/label' & score = 1",
        f'score == 1 && label = "me:{SECRET}@host"',
    ],
)
@pytest.mark.parametrize("form", [["--where", "{}"], ["--where={}"]], ids=["apart", "joined"])
def test_the_words_of_a_filter_are_shown_around_it(
    run: Run, form: Sequence[str], where: str
) -> None:
    ran = run("count", "sklearn", "photos", *(word.replace("{}", where) for word in form))
    assert (ran.code, SECRET in ran.err) == (2, False)
    assert "found =" in ran.err


def test_a_secret_outside_of_the_strings_of_a_filter_hides_all_of_it(run: Run) -> None:
    for where in (
        f'label = "mongodb://me:ab"{SECRET}"@host"',
        f"label = mongodb://me:{SECRET}@host",
        f"password = '{SECRET}'",
        f"label = 'a' and host/db?user=me&password={SECRET}",
    ):
        ran = run("count", "sklearn", "photos", "--where", where)
        assert (ran.code, SECRET in ran.err) == (2, False)
