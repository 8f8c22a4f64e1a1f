"""``vecbridge config``: what is configured, where it comes from, and how it is changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import asdict

import typer

from vecbridge._config._registry import backend_names, describe_settings
from vecbridge._errors import ConfigurationError, MissingDependencyError
from vecbridge.cli._console import emit, say, table
from vecbridge.cli._failures import Exit
from vecbridge.cli._options import AsJson, Backend, Options, options_of, store_of

config = typer.Typer(
    help="Show, check and change what is configured.", no_args_is_help=True, add_completion=False
)


@config.command()
def show(name: Backend = None, option: Options = None, json: AsJson = False) -> None:
    """Show every setting of a backend, its value and where it comes from; secrets are masked."""
    found = describe_settings(name, **options_of(option))
    if json:
        emit([{**asdict(each), "source": str(each.source)} for each in found])
        return
    shown = name or f"{store_of(None, option).name}, the default backend"
    rows = [(each.name, "-" if each.value is None else each.value, each.source) for each in found]
    table(f"Settings of {shown}", ["setting", "value", "from"], rows)


@config.command()
def check(json: AsJson = False) -> None:
    """Read the settings of every backend: unknown keys and unusable values are named."""
    problems = {}
    for name in backend_names():
        # What is not installed is not configured wrongly.
        with suppress(MissingDependencyError):
            try:
                describe_settings(name)
            except ConfigurationError as error:
                problems[name] = str(error)
    if json:
        emit({"ok": not problems, "problems": problems})
    elif problems:
        table("Problems", ["backend", ""], problems.items())
    else:
        say("the configuration of every installed backend can be used")
    raise typer.Exit(Exit.USAGE if problems else Exit.OK)
