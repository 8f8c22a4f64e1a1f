"""Print what commands say: lines, tables, JSON, and one line where they cannot go on."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import TYPE_CHECKING, Any

import typer

from vecbridge._errors import InvalidArgumentError, VecbridgeError
from vecbridge.cli._failures import (
    Exit,
    as_json,
    asked_for_json,
    code_of,
    failure,
    message_of,
    publishable,
    tell_bug,
)

# Rich and numpy are imported where something is printed: a shell waits for completions.
if TYPE_CHECKING:
    from rich.console import Console

    from vecbridge._client import Index, Store
    from vecbridge._contract._field_types import FieldValue

_INTERRUPTED = 130
"""The exit code that shells, and Typer, give a command that Ctrl-C ended."""

# Typer brings the errors of its parser under no name that all its releases have.
_Misuse: type[Exception] = typer.BadParameter.__bases__[0]


@cache
def out() -> Console:
    """Return the console of answers."""
    from rich.console import Console

    return Console(soft_wrap=True, emoji=False)


@cache
def errors() -> Console:
    """Return the console of what programs do not read."""
    from rich.console import Console

    return Console(stderr=True, soft_wrap=True, emoji=False)


def run(app: typer.Typer) -> None:
    """Run the command line; where it cannot go on, one line and an exit code, no traceback."""
    for_program = asked_for_json()
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What the terminal cannot show, such as a name that is no UTF-8, is no reason to fail.
        sys.stdout.reconfigure(errors="backslashreplace")
    stdout = sys.stdout
    try:
        # Left to itself, Typer shows what is misused as it is, passwords and all, and exits.
        ended = app(standalone_mode=False)
    except SystemExit as end:
        # Rich and Typer end with 1 where the pipe is closed, which says no.
        if not isinstance(end.__context__, BrokenPipeError):
            raise
        # Typer puts another one in its place.
        sys.stdout = stdout
        raise BrokenPipeError from None
    except BrokenPipeError:
        raise
    except (VecbridgeError, OSError) as error:
        if for_program:
            typer.echo(as_json(error), err=True)
        else:
            _tell("[bold red]error[/]", message_of(error))
        sys.exit(code_of(error))
    except _Misuse as error:
        _tell_misuse(error, for_program=for_program)
        sys.exit(Exit.USAGE)
    except Exception as error:  # noqa: BLE001 - whatever it is, scripts must not take it for a no
        tell_bug(error, for_program=for_program)
        sys.exit(Exit.BUG)
    if for_program and ended == _INTERRUPTED:
        typer.echo(failure("Interrupted", "the command was interrupted", ended), err=True)
    sys.exit(ended)


def _tell_misuse(error: Any, *, for_program: bool) -> None:
    error.message = publishable(error.message, misused=True)
    if not for_program:
        error.show()
        return
    command = error.ctx.command_path if error.ctx else "vecbridge"
    hint = f"{command} --help"
    typer.echo(failure("UsageError", error.format_message(), Exit.USAGE, hint=hint), err=True)


def emit(value: object) -> None:
    """Print JSON."""
    typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int = 0
) -> None:
    """Print a table, whose last columns may be numbers."""
    from rich.markup import escape
    from rich.table import Table

    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for at, column in enumerate(columns):
        is_number = at >= len(columns) - numbers
        drawn.add_column(column, overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        drawn.add_row(*(escape(_visible(str(cell))) for cell in row))
    out().print(drawn)


def _visible(text: str) -> str:
    """Return a text whose control characters are escaped: stored text must not drive a terminal."""
    return "".join(
        each if each.isprintable() else each.encode("unicode_escape").decode() for each in text
    )


def table_of_capabilities(title: str, declared: Mapping[str, object]) -> None:
    """Print what an index can do."""
    from vecbridge.report._page import worded

    rows = [(name, worded(name, value)) for name, value in declared.items()]
    table(title, ["capability", ""], rows)


def say(text: str) -> None:
    """Print a line as it is."""
    out().print(text, markup=False, highlight=False)


def warn(text: str) -> None:
    """Print a warning, where programs do not read."""
    _tell("[yellow]warning[/]", text)


def _tell(sign: str, text: str) -> None:
    """Print a sign, which may have markup, and a text as it is, where programs do not read."""
    from rich.markup import escape

    errors().print(f"{sign} {escape(text)}", highlight=False)


def warn_of_dropped(index: Index, done: str) -> None:
    """Warn of what the records of an index carry that a command leaves out.

    Args:
        index: the index.
        done: what the command does with the rest, in a word such as ``"copied"``.
    """
    from vecbridge._client._validate import unsupported_of

    if index.info.unsupported:
        warn(f"not {done} of {index.info.name}: {unsupported_of(index.info)}")


def warn_of_memory(store: Store, name: str) -> None:
    """Warn where what was written to an index ends with the command."""
    with store.open_index(name) as index:
        can = index.capabilities
        # A server that may lose writes has the records all the same.
        if not (can.durable or can.shared):
            warn(
                f"the records were in memory, and are lost when this command ends: to keep them, "
                f"give {store.name} a place for them, as in path=FOLDER"
            )


def cell(value: FieldValue) -> str:
    """Return the value of a field as a table shows it; nothing where there is none."""
    if value is None or isinstance(value, str):
        return value or ""
    plain = _plain(value) if isinstance(value, datetime) else value
    return plain if isinstance(plain, str) else json.dumps(plain, ensure_ascii=False)


def agreed(question: str) -> bool:
    """Ask at the terminal, and return whether the answer is yes.

    Raises:
        InvalidArgumentError: a program runs the command, which cannot answer.
    """
    if asked_for_json() or not sys.stdin.isatty():
        raise InvalidArgumentError(
            "a removal cannot be undone, so the command asks first, and there is no terminal to "
            "ask at; give --yes to remove without asking"
        )
    errors().print(f"{question} [y/N] ", end="", markup=False, highlight=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    import numpy as np

    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return sorted(value) if isinstance(value, frozenset | set) else str(value)
