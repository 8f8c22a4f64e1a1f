"""Every command that a message or a page advises exists, and takes the words it is given there."""

from __future__ import annotations

import ast
import re
import shlex
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import tomli
import typer
from typer.main import get_command

from tests.meta.source import ROOT
from vecbridge.cli._app import COMMANDS, app
from vecbridge.cli._programs import PROGRAMS
from vecbridge.fiftyone.__main__ import _ForPeople
from vecbridge.fiftyone.__main__ import _parser as fiftyone_parser
from vecbridge_conformance.__main__ import _parser as conformance_parser

SOURCES = [
    path
    for folder in ("vecbridge", "backends", "conformance")
    for path in sorted((ROOT / folder).rglob("*.py"))
]
GENERATED = {"command-line.md"}
PAGES = [
    ROOT / "README.md",
    *(path for path in sorted((ROOT / "docs").rglob("*.md")) if path.name not in GENERATED),
]
VALUE = "value"
"""Stands in a message for what it says of the case at hand."""

INLINE = re.compile(r"`vecbridge ([^`\n]+)`")
BLOCK = re.compile(r"^(?:\$ )?(?:[A-Z_]+=\S+ )*vecbridge ([^|>\n]+)", re.MULTILINE)
FENCED = re.compile(r"^[ ]*```(?:sh|console|bash)\n(.*?)^[ ]*```", re.MULTILINE | re.DOTALL)
EXTRAS = re.compile(r"pip install ['\"]vecbridge\[([^\]]+)\]['\"]")
MODULE = re.compile(r"`python -m ([\w.]+)")
FILES = (".npy", ".npz", ".parquet")


def texts(path: Path) -> Iterator[str]:
    """The string literals of a module, docstrings among them."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(part.value) if isinstance(part, ast.Constant) else VALUE for part in node.values
            )
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def whole(text: str) -> list[str]:
    """Commands in blocks, which a reader may copy: they have all of their arguments."""
    blocks = [re.sub(r"^ +", "", block, flags=re.MULTILINE) for block in FENCED.findall(text)]
    joined = [re.sub(r"\\\n\s*", "", block) for block in blocks]
    return [command for block in joined for command in BLOCK.findall(block)]


IN_PAGES = [(path, path.read_text(encoding="utf-8")) for path in PAGES]
IN_SOURCES = [(path, text) for path in SOURCES for text in texts(path)]
NAMED = sorted(
    {
        (str(path.relative_to(ROOT)), command)
        for path, text in [*IN_PAGES, *IN_SOURCES]
        for command in INLINE.findall(" ".join(text.split("\n")))
    }
)
COPIED = sorted(
    {(str(path.relative_to(ROOT)), command) for path, text in IN_PAGES for command in whole(text)}
)


def words_of(command: str) -> list[str]:
    return shlex.split(command, comments=True)


def command_of(words: list[str]) -> tuple[Any, list[str], Any]:
    """The command that the first words name, the words after it, and its context's parent."""
    group: Any = get_command(app)
    context: Any = group.make_context("vecbridge", ["--"], resilient_parsing=True)
    name, *rest = words
    found = group.get_command(context, name)
    assert found is not None, f"there is no command {name!r}"
    if hasattr(found, "list_commands") and rest and not rest[0].startswith("-"):
        context = typer.Context(found, parent=context, info_name=name)
        inner = found.get_command(context, rest[0])
        assert inner is not None, f"there is no command {name} {rest[0]!r}"
        return inner, rest[1:], context
    return found, rest, context


def options_of(words: list[str]) -> set[str]:
    return {word.partition("=")[0] for word in words if re.match(r"--?[a-z]", word)}


@pytest.mark.parametrize(("place", "command"), NAMED, ids=lambda each: str(each)[:60])
def test_a_command_that_is_named_exists_with_its_options(place: str, command: str) -> None:
    words = words_of(command)
    if words[0].startswith("-"):
        known = {"--version", "--help", "-h", "--install-completion", "--show-completion"}
        assert options_of(words) <= known
    elif words[0] in PROGRAMS:
        own = PROGRAMS[words[0]].words
        assert not own or len(words) == 1 or words[1] in {*own, "-h", "--help", VALUE}
    elif words[0] not in {VALUE, "COMMAND"}:
        found, rest, _ = command_of(words)
        known = {option for each in found.params for option in each.opts} | {"-h", "--help"}
        assert options_of(rest) <= known


@pytest.mark.parametrize(("place", "command"), COPIED, ids=lambda each: str(each)[:60])
def test_a_command_that_can_be_copied_takes_its_words(
    place: str, command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = words_of(command)
    for word in words:
        if word.endswith(FILES):
            Path(word).parent.mkdir(parents=True, exist_ok=True)
            Path(word).touch()
    if words[0].startswith("-"):
        assert words in (["--version"], ["--help"], ["--install-completion"])
    elif words[0] == "fiftyone":
        fiftyone_parser(_ForPeople).parse_args(words[1:])
    elif words[0] == "conformance":
        conformance_parser().parse_args(words[1:])
    elif words[0] == "demo":
        assert {*words[1:]} <= {"--app"}
    else:
        found, rest, context = command_of(words)
        found.make_context(words[0], rest, parent=context)


def test_every_command_is_in_a_page() -> None:
    assert len(NAMED) > 20 < len(COPIED)
    said = {words_of(command)[0] for _, command in [*NAMED, *COPIED]}
    assert {*COMMANDS, *PROGRAMS} - said == set()


def test_every_extra_that_is_advised_exists() -> None:
    project = tomli.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    advised = {
        extra.strip()
        for _, text in [*IN_PAGES, *IN_SOURCES]
        for extras in EXTRAS.findall(text)
        for extra in extras.split(",")
    }
    assert {"cli", "milvus"} <= advised
    assert advised - {VALUE, "..."} <= project["optional-dependencies"].keys()


def test_every_module_that_is_advised_can_be_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT))
    modules = {name for _, text in [*IN_PAGES, *IN_SOURCES] for name in MODULE.findall(text)}
    modules -= {VALUE}
    assert modules
    missing = [name for name in sorted(modules) if find_spec(name) is None]
    assert missing == []
    assert sys.path[0] == str(ROOT)
