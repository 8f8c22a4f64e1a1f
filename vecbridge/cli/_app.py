"""The commands, put together."""

from __future__ import annotations

from importlib.metadata import version
from typing import Annotated

import typer

from vecbridge.cli import _backends, _bench, _config, _doctor, _indexes, _others, _report, _transfer

app = typer.Typer(
    name="vecbridge",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for part in (_backends, _doctor, _indexes, _report, _bench, _transfer, _others):
    part.add_to(app)
app.add_typer(_config.app, name="config")


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
