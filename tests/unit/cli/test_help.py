"""Help is there at once: commands are listed without importing what they need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from vecbridge.cli._app import COMMANDS, app
from vecbridge.cli._programs import PROGRAMS

HEAVY = {
    "faiss",
    "fiftyone",
    "hypothesis",
    "pyarrow",
    "pymilvus",
    "pytest",
    "sklearn",
    "torch",
}
UNSEEN = HEAVY | {"numpy"}
"""What the list of commands, and a command that Typer parses, do without until it runs."""

GENEROUS_S = 5
"""Ten times of what it may take: the machine that tests is busy with other things."""


def imported(*words: str) -> set[str]:
    """The packages that a command imports."""
    code = (
        "import sys; from vecbridge.cli import main; sys.argv[1:] = sys.argv[1:]\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert not end.code, end.code\n"
        "print(*{name.split('.')[0] for name in sys.modules}, file=sys.stderr)"
    )
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert time.perf_counter() - started < GENEROUS_S
    assert done.stdout
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "words",
    [
        ["--help"],
        ["--version"],
        ["config", "--help"],
        *([name, "--help"] for name in COMMANDS if name != "config"),
    ],
    ids=" ".join,
)
def test_help_imports_nothing_heavy(words: list[str]) -> None:
    assert imported(*words) & UNSEEN == set()


@pytest.mark.parametrize("name", ["fiftyone", "demo"])
def test_help_of_a_program_imports_nothing_heavy(name: str) -> None:
    assert imported(name, "--help") & HEAVY == set()


def test_the_list_of_all_imports_no_command() -> None:
    code = (
        "import sys; sys.argv[1:] = ['--help']; from vecbridge.cli import main\n"
        "try:\n    main()\nexcept SystemExit:\n    pass\n"
        "print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = {place.partition(":")[0] for place, _ in COMMANDS.values()}
    assert not {f"vecbridge.cli.{each}" for each in modules} & set(done.stderr.split())


@pytest.mark.parametrize("name", COMMANDS)
def test_the_list_says_what_the_help_of_a_command_says_first(name: str) -> None:
    group = get_command(app)
    with typer.Context(group) as context:  # type: ignore[attr-defined, unused-ignore]
        command = group.get_command(context, name)  # type: ignore[attr-defined, unused-ignore]
    first, _, _ = (command.help or "").partition("\n\n")
    assert " ".join(first.split()) == COMMANDS[name][1]


def test_every_program_lists_the_words_that_it_takes() -> None:
    for name, program in PROGRAMS.items():
        done = subprocess.run(
            [sys.executable, "-m", program.module, "--help"],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "FIFTYONE_DO_NOT_TRACK": "1"},
        )
        listed = re.search(r"\{([\w,]+)\}|(\w+(?: \| \w+)+) \.\.\.", done.stdout)
        words = re.split(r",| \| ", listed[1] or listed[2]) if listed else []
        assert words == [*program.words], name


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--help"],
        ["--version"],
        ["config"],
        ["count", "--help"],
        ["config", "show", "milvus"],
        ["config", "show", "milvus", "--json"],
        ["conformance", "explain", "REC-1"],
    ],
    ids=" ".join,
)
def test_a_closed_pipe_ends_a_command_as_shells_expect(words: list[str], tmp_path: Path) -> None:
    reads, writes = os.pipe()
    os.close(reads)
    done = subprocess.run(
        [sys.executable, "-m", "vecbridge.cli", *words],
        stdout=writes,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        env={**os.environ, "FIFTYONE_BRAIN_CONFIG_PATH": str(tmp_path / "none.json")},
    )
    os.close(writes)
    assert (done.returncode, done.stderr) == (141, "")
