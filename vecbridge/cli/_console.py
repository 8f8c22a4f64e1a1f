"""Print what commands say: lines, tables, JSON, progress, and one line where they cannot go on."""

from __future__ import annotations

import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.table import Table
from rich.text import Text

from vecbridge._client import Index, Store
from vecbridge._client._validate import unsupported_of
from vecbridge._contract._field_types import FieldValue
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

if TYPE_CHECKING:
    from vecbridge.transfer import Progress


class _Console(Console):
    def on_broken_pipe(self) -> None:
        # Rich ends with 1 here, which says no.
        raise BrokenPipeError


out = _Console(soft_wrap=True, emoji=False)
errors = _Console(stderr=True, soft_wrap=True, emoji=False)

_INTERRUPTED = 130
"""The exit code that shells, and Typer, give a command that Ctrl-C ended."""

# Typer brings the errors of its parser under no name that all its releases have.
_Misuse: type[Exception] = typer.BadParameter.__bases__[0]


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
    except SystemExit:
        if sys.stdout is not stdout:
            # Typer puts another one in its place where the pipe is closed, and ends with 1: a no.
            sys.stdout = stdout
            raise BrokenPipeError from None
        raise
    except BrokenPipeError:
        raise
    except (VecbridgeError, OSError) as error:
        if for_program:
            typer.echo(as_json(error), err=True)
        else:
            errors.print(f"[bold red]error[/] {escape(message_of(error))}", highlight=False)
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
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for at, column in enumerate(columns):
        is_number = at >= len(columns) - numbers
        drawn.add_column(column, overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        drawn.add_row(*(escape(_visible(str(cell))) for cell in row))
    out.print(drawn)


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
    out.print(escape(text), highlight=False)


def warn(text: str) -> None:
    """Print a warning, where programs do not read."""
    errors.print(f"[yellow]warning[/] {escape(text)}", highlight=False)


def warn_of_dropped(index: Index, done: str) -> None:
    """Warn of what the records of an index carry that a command leaves out.

    Args:
        index: the index.
        done: what the command does with the rest, in a word such as ``"copied"``.
    """
    if index.info.unsupported:
        warn(f"not {done} of {index.info.name}: {unsupported_of(index.info)}")


def warn_of_memory(store: Store, name: str) -> None:
    """Warn where what was written to an index ends with the command."""
    with store.open_index(name) as index:
        if not index.capabilities.durable:
            warn(
                f"the records were in memory, and are gone with this command: {store.name} keeps "
                f"them where it is given a place for them, as in path=FOLDER"
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
            "what is removed cannot be brought back, so the command asks before it removes, and "
            "there is no terminal to ask at; give --yes where that is meant"
        )
    errors.print(escape(f"{question} [y/N] "), end="", highlight=False)
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    return sorted(value) if isinstance(value, frozenset | set) else str(value)


class _Rate(ProgressColumn):
    """Records per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


@contextmanager
def bar(*, shown: bool) -> Iterator[Progress]:
    """Yield a progress bar for each stage: how far, how fast, how long still."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    # A file of what went wrong is no place for it.
    drawn = Bar(*columns, console=errors, disable=not (shown and errors.is_terminal))
    stages: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        # Where nothing is begun, nothing is drawn: not even the empty line that ends a bar.
        drawn.start()
        number, before = stages.get(stage, (-1, 0))
        if number < 0 or done < before:
            number = int(drawn.add_task(stage, total=total))
        stages[stage] = (number, done)
        drawn.update(number, completed=done, total=max(done, total))  # type: ignore[arg-type]

    try:
        yield progress
    finally:
        if stages:
            drawn.stop()
