"""``vecbridge delete`` and ``drop``: what they remove, and that they ask first."""

from __future__ import annotations

import io
import json
import sys
from pathlib import Path

import pytest

import vecbridge
from tests.unit.cli.conftest import Run
from vecbridge import SchemaMismatchError, Store


class Terminal(io.TextIOWrapper):
    """A standard input at which a question can be answered."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(io.BytesIO(b"Yes\n")))


def typed(monkeypatch: pytest.MonkeyPatch, text: str, *, terminal: bool = True) -> None:
    kind = Terminal if terminal else io.TextIOWrapper
    monkeypatch.setattr(sys, "stdin", kind(io.BytesIO(text.encode())))


def left(folder: Path) -> list[str]:
    """The ids that the store still holds."""
    with (
        vecbridge.get_backend("sklearn", path=folder) as store,
        store.open_index("corners") as index,
    ):
        return sorted(each for records in index.scan() for each in records.ids)


def words(folder: Path, *more: object) -> tuple[object, ...]:
    return ("delete", "sklearn", "corners", "-o", f"path={folder}", *more)


def test_records_that_match_are_removed(run: Run, folder: Path) -> None:
    ran = run(*words(folder, "--where", 'name in ["A", "B"]', "--yes"))
    assert (ran.code, ran.out) == (0, "removed 2 records of corners in sklearn\n")
    assert left(folder) == ["c", "d"]
    done = run(*words(folder, "--where", 'name == "C"', "--yes", "--json")).json
    assert done == {"removed": 1, "missing": []}


def test_ids_are_given_one_by_one_or_in_a_file(run: Run, folder: Path, tmp_path: Path) -> None:
    done = run(*words(folder, "--id", "a", "--id", "z,", "--yes", "--json")).json
    assert done == {"removed": 1, "missing": ["z,"]}
    listed = tmp_path / "ids.txt"
    listed.write_bytes(b"\xef\xbb\xbf[b]\r\n\r\nz\nc")
    ran = run(*words(folder, "--ids", listed, "--yes"))
    said = "removed 2 records of corners in sklearn; ids without a record: 1\n"
    assert (ran.code, ran.out) == (0, said)
    assert left(folder) == ["d"]


def test_ids_come_from_the_standard_input(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    typed(monkeypatch, "a\nb\n", terminal=False)
    assert run(*words(folder, "--ids", "-")).code == 2
    assert left(folder) == ["[b]", "a", "c", "d"]
    typed(monkeypatch, "a\nb\n", terminal=False)
    assert run(*words(folder, "--ids", "-", "--yes")).code == 0
    assert left(folder) == ["[b]", "c", "d"]


def test_a_file_that_holds_no_ids(run: Run, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "ids").write_bytes(b"\xff\xfe")
    ran = run(*words(folder, "--ids", tmp_path / "ids", "--yes"))
    assert (ran.code, "is not a file of ids" in ran.err) == (2, True)
    ran = run(*words(folder, "--ids", tmp_path / "absent", "--yes"))
    assert (ran.code, "absent: No such file" in ran.err) == (2, True)


@pytest.mark.parametrize("given", [(), ("--id", "a", "--where", 'name == "A"')])
def test_it_is_said_which_records(run: Run, folder: Path, given: tuple[str, ...]) -> None:
    ran = run(*words(folder, *given, "--yes"))
    assert (ran.code, "one of --where, --id and --ids" in ran.err) == (2, True)
    assert left(folder) == ["[b]", "a", "c", "d"]


@pytest.mark.usefixtures("answer")
def test_what_is_agreed_to_is_removed(run: Run, folder: Path) -> None:
    ran = run(*words(folder, "--where", 'name != "A"'))
    assert (ran.code, left(folder)) == (0, ["a"])
    assert ran.err == "Remove 3 records of corners in sklearn? [y/N] "


@pytest.mark.parametrize("said", ["", "\n", "no\n", "yes please\n"])
def test_any_other_answer_removes_nothing(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    for command in (words(folder, "--id", "a"), ("drop", *words(folder)[1:])):
        typed(monkeypatch, said)
        ran = run(*command)
        assert (ran.code, ran.out, "nothing was removed" in ran.err) == (1, "", True)
    assert left(folder) == ["[b]", "a", "c", "d"]


@pytest.mark.parametrize("as_json", [(), ("--json",)], ids=["people", "programs"])
def test_a_program_has_to_say_yes(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch, as_json: tuple[str, ...]
) -> None:
    for command in (words(folder, "--id", "a"), ("drop", *words(folder)[1:])):
        typed(monkeypatch, "yes\n", terminal=bool(as_json))
        ran = run(*command, *as_json)
        assert (ran.code, ran.out, "--yes" in ran.err) == (2, "", True)
    assert left(folder) == ["[b]", "a", "c", "d"]


def test_nothing_is_asked_where_there_is_nothing_to_remove(run: Run, folder: Path) -> None:
    ran = run(*words(folder, "--id", "z"))
    said = "removed 0 records of corners in sklearn; ids without a record: 1\n"
    assert (ran.code, ran.out, ran.err) == (0, said, "")


def test_an_index_is_dropped(run: Run, folder: Path) -> None:
    drop = ("drop", "sklearn", "corners", "-o", f"path={folder}")
    ran = run(*drop, "-y")
    assert (ran.code, ran.out) == (0, "removed index corners in sklearn, with 4 records\n")
    ran = run(*drop, "-y", "--json")
    assert (ran.code, json.loads(ran.err)["error"]["type"]) == (1, "IndexNotFoundError")


@pytest.mark.usefixtures("answer")
def test_an_index_that_cannot_be_opened_is_dropped(
    run: Run, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def cut_off(*_: object, **__: object) -> None:
        raise SchemaMismatchError("its creation was cut off; drop it")

    monkeypatch.setattr(Store, "open_index", cut_off)
    ran = run("drop", "sklearn", "corners", "-o", f"path={folder}")
    assert "with an unknown number of records? [y/N]" in ran.err
    assert ran.code == 0
    assert run("list", "sklearn", "-o", f"path={folder}", "--json").json == []
