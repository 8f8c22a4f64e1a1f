"""The commands, put together: each is imported when it is run, and the list of all at once."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from types import MappingProxyType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from vecbridge import __version__
from vecbridge.cli._completion import among
from vecbridge.cli._programs import PROGRAMS, run_program

COMMANDS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "backends": (
            "_backends:backends",
            "List the backends, whether each is usable, and how to install missing packages.",
        ),
        "config": ("_config:config", "Show, check and change the configuration."),
        "doctor": ("_backends:doctor", "Find out what is wrong with a store, and how to fix it."),
        "list": ("_indexes:list_indexes", "List the indexes of a store."),
        "describe": (
            "_indexes:describe",
            "Show the schema, the number of records and the capabilities of an index.",
        ),
        "count": (
            "_indexes:count",
            "Count the records of an index, or those that match a filter.",
        ),
        "search": (
            "_searching:search",
            "Rank the records of an index by their distance to a record or to vectors.",
        ),
        "report": (
            "_indexes:report",
            "Write an HTML report on an index: sizes, distances, duplicates, hubs, recall, lag.",
        ),
        "bench": (
            "_bench:bench",
            "Time a store in less than a minute: writing, searching, fetching.",
        ),
        "copy": (
            "_transfer:copy_index",
            "Copy an index to another store, and verify that the copy is complete.",
        ),
        "verify": (
            "_verifying:verify_indexes",
            "Check whether two indexes are the same, and show which records differ and how.",
        ),
        "export": ("_transfer:export_index", "Write the records of an index to a file."),
        "import": (
            "_importing:import_index",
            "Write every record of a file to an index, which is created if necessary.",
        ),
        "delete": (
            "_removing:delete",
            "Remove the records that match a filter, or those with the given ids.",
        ),
        "drop": ("_removing:drop", "Remove an index and its records."),
    }
)
"""Where each command is, and the first line of its help: the list is shown without importing it."""


class _Commands(TyperGroup):
    """Imports a command when it is asked for, not when all of them are listed."""

    _listing = False

    def __init__(self, **given: Any) -> None:
        listed = {name: about for name, (_, about) in COMMANDS.items()}
        listed |= {name: program.help for name, program in PROGRAMS.items()}
        stubs = {name: TyperCommand(name, help=about) for name, about in listed.items()}
        super().__init__(**{**given, "commands": stubs})

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Return a command; where all are being listed, no more than its name and first line."""
        if self._listing or cmd_name not in self.commands:
            return super().get_command(ctx, cmd_name)
        return _program(cmd_name) if cmd_name in PROGRAMS else _imported(cmd_name)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Write the help of all commands."""
        with self._all():
            super().format_help(ctx, formatter)

    def shell_complete(self, ctx: Any, incomplete: str) -> Any:
        """Return the commands whose names begin so."""
        with self._all():
            return super().shell_complete(ctx, incomplete)

    @contextmanager
    def _all(self) -> Iterator[None]:
        self._listing = True
        try:
            yield
        finally:
            self._listing = False


def _imported(name: str) -> Any:
    module, _, attribute = COMMANDS[name][0].partition(":")
    found = getattr(import_module(f"vecbridge.cli.{module}"), attribute)
    if not isinstance(found, typer.Typer):
        alone = typer.Typer(add_completion=False)
        alone.command(name)(found)
        return get_command(alone)
    group = get_command(found)
    group.name = name
    return group


def _program(name: str) -> Any:
    # In an annotation, Typer would look for the name outside of this function.
    words: Any = typer.Argument(
        None, metavar="ARGS", hidden=True, autocompletion=among(PROGRAMS[name].words)
    )

    def run(context: typer.Context, _words: list[str] | None = words) -> None:
        run_program(name, [*(_words or ()), *context.args])

    alone = typer.Typer(add_completion=False)
    alone.command(
        name,
        help=PROGRAMS[name].help,
        add_help_option=False,
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
    )(run)
    return get_command(alone)


app = typer.Typer(
    name="vecbridge",
    cls=_Commands,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vecbridge {__version__}")
        raise typer.Exit


@app.callback()
def everything(
    _version: Annotated[
        bool,
        typer.Option(
            "--version",
            callback=_print_version,
            is_eager=True,
            help="Show the version and exit.",
        ),
    ] = False,
) -> None:
    """One contract for vector stores: inspect them, move between them, verify them."""
