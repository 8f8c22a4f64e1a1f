"""What the shell completes. Nothing here opens a store, so that a dead server delays no key."""

from __future__ import annotations

import io
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout, suppress
from functools import wraps
from typing import Any, TypeVar

import typer

from vecbridge._config._names import registered_name
from vecbridge._config._registry import backend_entry, backend_names, load_backend
from vecbridge.cli._seen import saw_settings, seen_indexes, seen_settings

_VARIABLE = "_VECBRIDGE_COMPLETE"
_BREAKS = re.compile("[:=]+")
_PLACES = ("source", "target", "first", "second")

F = TypeVar("F", bound=Callable[..., list[str]])


def _quiet(function: F) -> F:
    """Complete nothing where anything fails: a message would land in the user's line."""

    @wraps(function)
    def completed(*given: Any, **named: Any) -> list[str]:
        try:
            return function(*given, **named)
        except Exception:  # noqa: BLE001 - whatever it is, the line must stay as it is
            return []

    return completed  # type: ignore[return-value]


@_quiet
def backends(incomplete: str) -> list[str]:
    """Return the backends whose names begin so."""
    return _beginning(backend_names(), incomplete)


@_quiet
def indexes(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the indexes of the backend on the line."""
    given = _given(ctx)
    return _beginning(_seen_indexes(given["name"], given), incomplete)


@_quiet
def places(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the places of ``copy`` and ``verify``: first the backends, then their indexes."""
    name, colon, _ = incomplete.partition(":")
    if not colon:
        return _open_ended(
            _beginning([f"{each}:" for each in backend_names()], incomplete), "INDEX"
        )
    found = _seen_indexes(name, _given(ctx))
    return _beginning([f"{name}:{each}" for each in found], incomplete)


@_quiet
def settings(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return settings of the backends on the line, as ``KEY=``, or the words that one may be."""
    return _pairs(_backends_on_line(ctx), incomplete)


@_quiet
def settings_from(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return settings of the backend that is copied from, or compared first."""
    return _pairs(_backends_on_line(ctx)[:1], incomplete)


@_quiet
def settings_to(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return settings of the backend that is copied to, or compared with."""
    return _pairs(_backends_on_line(ctx)[1:], incomplete)


@_quiet
def setting_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return the names of settings of the backend on the line."""
    return _beginning(_known(_backend(_given(ctx)["name"])), incomplete)


@_quiet
def fields(ctx: typer.Context, incomplete: str) -> list[str]:
    """Return fields of the index on the line, after those that are there and a comma."""
    given = _given(ctx)
    there, comma, last = incomplete.rpartition(",")
    known = _seen_indexes(given["name"], given)[given["index"]]
    names = [each for each in known if each not in there.split(",")]
    return [f"{there}{comma}{each}" for each in _beginning(names, last)]


def among(words: Sequence[str]) -> Callable[[str], list[str]]:
    """Return what completes one of some words."""

    def completed(incomplete: str) -> list[str]:
        return _beginning(words, incomplete)

    return completed


def is_asked() -> bool:
    """Return whether a shell asks for completions."""
    return _VARIABLE in os.environ


def complete(run: Callable[[], None]) -> None:
    """Answer a shell, and whatever happens, say nothing else.

    Args:
        run: the command line, which prints the answer and exits.
    """
    with redirect_stderr(io.StringIO()), suppress(Exception):
        # A test, or a user, may ask with words that a space divides.
        if os.environ[_VARIABLE] == "complete_bash" and "\n" in os.environ["COMP_WORDS"]:
            _in_bash(run)
        run()
    sys.exit(0)


def _in_bash(run: Callable[[], None]) -> None:
    """Answer bash, which cuts words at every colon and equals sign.

    ``milvus:photos`` arrives as three words, and of an answer bash wants what follows the last
    sign.
    """
    words, at = _whole_words(os.environ["COMP_WORDS"].split("\n"), int(os.environ["COMP_CWORD"]))
    os.environ["COMP_WORDS"], os.environ["COMP_CWORD"] = "\n".join(words), str(at)
    begun = words[at] if at < len(words) else ""
    cut = max((found.end() for found in _BREAKS.finditer(begun)), default=0)
    said = io.StringIO()
    try:
        with redirect_stdout(said):
            run()
    finally:
        lines = said.getvalue().splitlines()
        rest = [line[cut:] if line.startswith(begun[:cut]) else line for line in lines]
        sys.stdout.write("".join(f"{line}\n" for line in rest))


def _whole_words(words: Sequence[str], at: int) -> tuple[list[str], int]:
    """Return the words as they were before bash cut them, and the number of the current one."""
    found: list[str] = []
    joins = False
    current = at
    for number, word in enumerate(words):
        is_break = _BREAKS.fullmatch(word) is not None
        if found and (joins or is_break):
            found[-1] += word
        else:
            found.append(word)
        if number == at:
            current = len(found) - 1
        joins = is_break
    return found, current


def _pairs(names: Sequence[str], incomplete: str) -> list[str]:
    key, equals, _ = incomplete.partition("=")
    known: dict[str, Sequence[str]] = {}
    for name in names:
        known.update(_known(name))
    if not equals:
        return _open_ended(_beginning([f"{each}=" for each in known], incomplete), "VALUE")
    return _beginning([f"{key}={each}" for each in known[key]], incomplete)


def _open_ended(words: list[str], rest: str) -> list[str]:
    """Keep bash and zsh from putting a space after the only word: it is not at its end yet."""
    is_alone = len(words) == 1 and os.environ.get(_VARIABLE) in {"complete_bash", "complete_zsh"}
    return [*words, words[0] + rest] if is_alone else words


def _known(backend: str) -> Mapping[str, Sequence[str]]:
    """Return the settings of a backend; the first time, it has to be imported."""
    if not seen_settings(backend):
        saw_settings(backend, load_backend(backend_entry(backend)).settings_type)
    return seen_settings(backend)


def _backends_on_line(ctx: typer.Context) -> list[str]:
    """Return the one backend of most commands, or those of the two places."""
    given = _given(ctx)
    named = given.get("name") or given.get("live")
    if named:
        return [_backend(named)]
    places = [str(given[key]) for key in _PLACES if given.get(key)]
    return [_backend(place.partition(":")[0]) for place in places]


def _given(ctx: typer.Context) -> Mapping[str, Any]:
    """Return the parameters on the line.

    Those of ``ctx`` lack every argument where the last word is an option whose value is completed:
    its parser gives up there. So the words before it are parsed again.
    """
    words = _words_before()[len(ctx.command_path.split()) - 1 :]
    if words and words[-1].startswith("-"):
        words.pop()
    again = ctx.command.make_context(ctx.info_name, words, ctx.parent, resilient_parsing=True)
    return again.params


def _words_before() -> list[str]:
    """Return the words between the program and the one that is completed."""
    if os.environ[_VARIABLE] == "complete_bash":
        return shlex.split(os.environ["COMP_WORDS"])[1 : int(os.environ["COMP_CWORD"])]
    line = os.environ["_TYPER_COMPLETE_ARGS"]
    return shlex.split(line)[1 : None if line.endswith(" ") else -1]


def _backend(name: str) -> str:
    return registered_name(name, backend_names())


def _seen_indexes(name: str, given: Mapping[str, Any]) -> Mapping[str, Sequence[str]]:
    """Return the indexes of a backend, in the store that the line describes if it was seen."""
    options: Sequence[str] = given.get("option") or ()
    pairs = dict(each.split("=", 1) for each in options if "=" in each)
    return seen_indexes(_backend(name), pairs)


def _beginning(words: Iterable[str], incomplete: str) -> list[str]:
    return [each for each in words if each.startswith(incomplete)]
