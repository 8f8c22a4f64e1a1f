"""What programs are told where a command cannot be followed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.unit.cli.conftest import Ran, Run
from vecbridge import BackendError, Store
from vecbridge.cli._failures import message_of


def told(ran: Ran) -> dict[str, Any]:
    """The error of a command that failed: one line, and nothing where answers are read."""
    assert ran.out == ""
    (line,) = ran.err.splitlines()
    error: dict[str, Any] = json.loads(line)["error"]
    assert error["exit_code"] == ran.code
    return error


def test_an_error_is_a_line_of_json_with_its_type_and_exit_code(run: Run, folder: Path) -> None:
    error = told(run("describe", "sklearn", "absent", "-o", f"path={folder}", "--json"))
    assert (error["type"], error["exit_code"]) == ("IndexNotFoundError", 1)
    assert "corners" in error["message"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["search", "sklearn"], "INDEX"),
        (["bench", "--records", "many"], "--records"),
        (["nonsense"], "nonsense"),
    ],
)
def test_misuse_is_json_with_the_command_that_helps(run: Run, words: list[str], said: str) -> None:
    error = told(run(*words, "--json"))
    assert (error["type"], error["exit_code"]) == ("UsageError", 2)
    assert said in error["message"]
    assert error["hint"].split()[-1] == "--help"


def test_a_failing_store_says_whether_to_try_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object, **__: object) -> None:
        raise BackendError("full [disk]", backend="milvus", operation="upsert", retryable=True)

    monkeypatch.setattr(Store, "index_names", failing)
    error = told(run("list", "sklearn", "--json"))
    assert error == {
        "type": "BackendError",
        "message": "full [disk]",
        "exit_code": 3,
        "backend": "milvus",
        "operation": "upsert",
        "retryable": True,
    }


@pytest.mark.parametrize("words", [(), ("--json",)])
def test_a_bug_is_no_answer_and_can_be_traced(
    words: tuple[str, ...], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("no way to mongodb://me:hunter2@here/")

    monkeypatch.setattr(Store, "index_names", broken)
    ran = run("list", "sklearn", *words)
    assert (ran.code, ran.out) == (70, "")
    *before, last = ran.err.splitlines()
    assert before[0].startswith("Traceback")
    said = "no way to mongodb://**********@here/"
    assert before[-1] == f"ZeroDivisionError: {said}"
    if words:
        error = {"type": "ZeroDivisionError", "message": said, "exit_code": 70}
        assert json.loads(last) == {"error": error}
    else:
        assert "please report it" in last


def test_an_interrupted_command_ends_as_one(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "index_names", interrupted)
    error = told(run("list", "sklearn", "--json"))
    assert (error["type"], error["exit_code"]) == ("Interrupted", 130)


def test_an_error_of_the_operating_system_names_the_file(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    page = f"{'p' * 300}.html"
    words = ["report", "sklearn", "corners", "-o", f"path={folder}", "--output", tmp_path / page]
    ran = run(*words, "--read-only", "--json")
    error = json.loads(ran.err)["error"]
    assert (ran.code, error["type"], error["exit_code"]) == (2, "OSError", 2)
    assert page in error["message"]


def test_a_page_that_cannot_be_written_is_told_before_the_survey(
    run: Run, folder: Path, tmp_path: Path
) -> None:
    words = ["report", "sklearn", "corners", "-o", f"path={folder}", "--output", tmp_path]
    assert "is a folder" in told(run(*words, "--json"))["message"]


def test_an_answer_that_is_no_stays_an_answer(run: Run, no_configuration: Path) -> None:
    no_configuration.write_text('{"similarity_backends": {"milvus": {"urii": "x"}}}')
    ran = run("config", "check", "--json")
    assert (ran.code, ran.err, ran.json["ok"]) == (2, "", False)


def test_words_of_a_message_that_are_pieces_of_a_password_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    advice = "secrets do not travel with it"
    for given in ("password=not-a-secret", "uri=postgres://me:not-a-secret@db/x"):
        monkeypatch.setattr(sys, "argv", ["vecbridge", "copy", "-t", given])
        said = message_of(vecbridge.ConfigurationError(f"{advice}; not-a-secret; {given}"))
        assert said.startswith(f"{advice}; **********; ")
        assert "not-a-secret" not in said
        assert "secret" not in message_of(ValueError("a parser saw: secret"))
