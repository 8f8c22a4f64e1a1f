"""What every command shares: options of a store, exit codes, tables, JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import IntEnum
from typing import Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from vecbridge._errors import (
    BackendError,
    ConfigurationError,
    InvalidArgumentError,
    InvalidInputError,
    MissingDependencyError,
    UnsupportedError,
    VecbridgeError,
)

out = Console(soft_wrap=True, emoji=False)
errors = Console(stderr=True, soft_wrap=True, emoji=False)


class Exit(IntEnum):
    """Exit codes, for scripts."""

    OK = 0
    NO = 1
    """The answer is no: a check failed, two stores differ, an index is not there."""

    USAGE = 2
    """The command or the configuration cannot be followed."""

    STORE = 3
    """The store cannot be reached, or failed."""


def run(app: typer.Typer) -> None:
    """Runs the command line; where it cannot go on, one line and an exit code, no traceback."""
    try:
        app()
    except VecbridgeError as error:
        complain(error)
        sys.exit(code_of(error))
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else error)
        sys.exit(Exit.USAGE)


def complain(what: object) -> None:
    """Says on the error stream why a command cannot be followed."""
    errors.print(f"[bold red]error[/] {_escaped(what)}", highlight=False)


def code_of(error: VecbridgeError) -> Exit:
    """The exit code of an error."""
    if isinstance(error, BackendError):
        return Exit.STORE
    usage = (ConfigurationError, InvalidInputError, MissingDependencyError, UnsupportedError)
    return Exit.USAGE if isinstance(error, usage) else Exit.NO


def options_of(given: Sequence[str]) -> dict[str, str]:
    """The settings in ``KEY=VALUE`` words."""
    if wrong := [text.partition("=")[0] for text in given if "=" not in text]:
        raise InvalidArgumentError(
            f"an option is KEY=VALUE; there is no = after {', '.join(wrong)}"
        )
    return dict(text.split("=", 1) for text in given)


def emit(value: object) -> None:
    """Prints JSON."""
    typer.echo(json.dumps(value, default=_plain, indent=2, ensure_ascii=False))


def table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, numbers: int = 0
) -> None:
    """Prints a table, whose last columns may be numbers."""
    drawn = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for at, column in enumerate(columns):
        is_number = at >= len(columns) - numbers
        drawn.add_column(column, overflow="fold", justify="right" if is_number else "left")
    for row in rows:
        drawn.add_row(*(_escaped(cell) for cell in row))
    out.print(drawn)


def say(text: str) -> None:
    """Prints a line as it is."""
    out.print(_escaped(text), highlight=False)


def worded(name: str, value: object) -> str:
    """A capability as a person reads it."""
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value)))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "no limit" if name.startswith("max_") else "-"
    return f"{value:,}"


def _escaped(value: object) -> str:
    from rich.markup import escape

    return escape(str(value))


def _plain(value: object) -> object:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value)]
        return {name: getattr(value, name) for name in names}
    if isinstance(value, np.ndarray | np.generic):
        return value.tolist()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, frozenset | set):
        return sorted(value)
    return str(value)


Backend = Annotated[
    str | None,
    typer.Argument(
        metavar="BACKEND",
        help="A backend, such as milvus; the configured default where none is named.",
        show_default=False,
    ),
]
Named = Annotated[
    str, typer.Argument(metavar="BACKEND", help="A backend, such as milvus.", show_default=False)
]
IndexName = Annotated[
    str, typer.Argument(metavar="INDEX", help="An index of that backend.", show_default=False)
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        help="A setting of the backend, such as uri=vectors.db. Give a secret by its "
        "environment variable instead: other users can read command lines.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
