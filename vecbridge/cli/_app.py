"""The commands, put together: vecbridge's own, and those that other parts of it bring."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from importlib.util import find_spec
from typing import Annotated

import typer

from vecbridge._errors import MissingDependencyError
from vecbridge.cli import (
    _backends,
    _bench,
    _indexes,
    _removing,
    _searching,
    _transfer,
    _verifying,
)

_COMMANDS: dict[str, Callable[..., None]] = {
    "backends": _backends.backends,
    "doctor": _backends.doctor,
    "list": _indexes.list_indexes,
    "describe": _indexes.describe,
    "count": _indexes.count,
    "search": _searching.search,
    "report": _indexes.report,
    "bench": _bench.bench,
    "copy": _transfer.copy_index,
    "verify": _verifying.verify_indexes,
    "export": _transfer.export_index,
    "import": _transfer.import_index,
    "delete": _removing.delete,
    "drop": _removing.drop,
}
_PROGRAMS = {
    "conformance": ("vecbridge_conformance", "conformance", "Prove that a store conforms."),
    "fiftyone": ("vecbridge.fiftyone", "fiftyone", "Switch FiftyOne to vecbridge, and back."),
    "demo": ("vecbridge.demo", "fiftyone", "Do the main job on real images, on three stores."),
}
"""Commands that read arguments by themselves: the module, the extra it needs, its help."""

_PACKAGES = {"conformance": "hypothesis", "fiftyone": "fiftyone"}
"""The package by which an extra is known to be installed."""

app = typer.Typer(
    name="vecbridge",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"vecbridge {version('vecbridge')}")
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
    """One contract for vector stores: look at them, move between them, prove them."""


def _runner(module: str, extra: str) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        # A process of its own: these programs read arguments, set variables and exit as they like.
        needed = _PACKAGES[extra]
        if find_spec(needed) is None:
            raise MissingDependencyError(
                f"this needs the package {needed!r}, which is not installed: "
                f"pip install 'vecbridge[{extra}]'",
                name=needed,
            )
        command = [sys.executable, "-m", module, *context.args]
        done = subprocess.run(command, check=False)  # noqa: S603 - our own program
        raise typer.Exit(done.returncode)

    return run


for _name, _command in _COMMANDS.items():
    app.command(_name)(_command)
for _name, (_module, _extra, _help) in _PROGRAMS.items():
    app.command(
        _name,
        help=_help,
        add_help_option=False,
        context_settings={
            "allow_extra_args": True,
            "ignore_unknown_options": True,
            "help_option_names": [],
        },
    )(_runner(_module, _extra))
app.add_typer(_backends.config, name="config")
