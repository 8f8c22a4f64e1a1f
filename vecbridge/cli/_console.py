"""What every command shares: options of a store, exit codes, tables, JSON."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from vecbridge._config._registry import backend_names
from vecbridge._errors import InvalidArgumentError, VecbridgeError
from vecbridge.cli._failures import Exit, as_json, asked_for_json, code_of, failure, message_of

out = Console(soft_wrap=True, emoji=False)
errors = Console(stderr=True, soft_wrap=True, emoji=False)


# Typer brings the errors of its parser under no name that all its releases have.
_Misuse: type[Exception] = typer.BadParameter.__bases__[0]


def run(app: typer.Typer) -> None:
    """Runs the command line; where it cannot go on, one line and an exit code, no traceback."""
    for_program = asked_for_json()
    try:
        # Left to itself, Typer draws a box around what is misused, and exits.
        ended = app(standalone_mode=not for_program)
    except (VecbridgeError, OSError) as error:
        _tell(error, for_program=for_program)
        sys.exit(code_of(error))
    except _Misuse as error:
        typer.echo(_misused(error), err=True)
        sys.exit(Exit.USAGE)
    sys.exit(ended)


def _tell(error: Exception, *, for_program: bool) -> None:
    if for_program:
        typer.echo(as_json(error), err=True)
    else:
        errors.print(f"[bold red]error[/] {_escaped(message_of(error))}", highlight=False)


def _misused(error: Any) -> str:
    command = error.ctx.command_path if error.ctx else "vecbridge"
    hint = f"{command} --help"
    return failure("UsageError", error.format_message(), Exit.USAGE, hint=hint)


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


def completed(incomplete: str) -> list[str]:
    """The backends whose names begin so, for the shell."""
    return [name for name in backend_names() if name.startswith(incomplete)]


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
        autocompletion=completed,
    ),
]
Named = Annotated[
    str,
    typer.Argument(
        metavar="BACKEND",
        help="A backend, such as milvus.",
        show_default=False,
        autocompletion=completed,
    ),
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
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, errors too.")]
