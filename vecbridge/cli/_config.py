"""``vecbridge config``: every setting, its value, and who says so."""

from __future__ import annotations

from dataclasses import asdict

import typer

from vecbridge._config._registry import backend_names, describe_settings
from vecbridge._errors import ConfigurationError, MissingDependencyError
from vecbridge.cli._console import emit, say, table
from vecbridge.cli._failures import Exit
from vecbridge.cli._options import AsJson, Backend, Options, options_of, store_of

app = typer.Typer(help="Shows and checks what is configured.", no_args_is_help=True)


@app.command()
def show(name: Backend = None, option: Options = None, json: AsJson = False) -> None:
    """Show every setting of a backend, its value and where it comes from; secrets are masked."""
    found = describe_settings(name, **options_of(option))
    if json:
        emit([{**asdict(each), "source": str(each.source)} for each in found])
        return
    shown = name or f"{store_of(None, option).name}, the default backend"
    table(
        f"Settings of {shown}",
        ["setting", "value", "from"],
        [(each.name, _told(each.value), each.source) for each in found],
    )


@app.command()
def check(json: AsJson = False) -> None:
    """Read the settings of every backend: unknown keys and unusable values are told."""
    told = ((name, _problem(name)) for name in backend_names())
    problems = {name: problem for name, problem in told if problem}
    if json:
        emit({"ok": not problems, "problems": problems})
    elif problems:
        table("Problems", ["backend", ""], problems.items())
    else:
        say("the configuration of every installed backend can be used")
    raise typer.Exit(Exit.USAGE if problems else Exit.OK)


def _told(value: object) -> object:
    return "-" if value is None else value


def _problem(name: str) -> str:
    try:
        describe_settings(name)
    except MissingDependencyError:
        # What cannot be used is not configured wrongly.
        return ""
    except ConfigurationError as error:
        return str(error)
    return ""
