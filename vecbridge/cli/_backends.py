"""``vecbridge backends``: what is installed, and what it can do."""

from __future__ import annotations

from dataclasses import asdict

import typer

from vecbridge._config._registry import backend_names, get_backend
from vecbridge._errors import MissingDependencyError, VecbridgeError
from vecbridge.cli._console import emit, table
from vecbridge.cli._options import AsJson, Options, completed, store_of
from vecbridge.diagnosis import scratch_index
from vecbridge.report._page import worded


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("backends")(backends)


def backends(
    live: str | None = typer.Option(
        None,
        metavar="NAME",
        help="Connect to this backend, and show what it can do.",
        autocompletion=completed,
    ),
    option: Options = None,
    json: AsJson = False,
) -> None:
    """List the backends, whether they can be used, and how to install what is missing."""
    if live is not None:
        _show_live(live, option, json=json)
        return
    found = [_state(name) for name in backend_names()]
    if json:
        emit(found)
        return
    rows = [(each["name"], each["state"], each["advice"]) for each in found]
    table("Backends", ["name", "state", ""], rows)


def _state(name: str) -> dict[str, str]:
    try:
        get_backend(name)
    except MissingDependencyError as error:
        return {"name": name, "state": "not installed", "advice": str(error)}
    except VecbridgeError as error:
        return {"name": name, "state": "not configured", "advice": str(error)}
    return {"name": name, "state": "installed", "advice": ""}


def _show_live(name: str, option: list[str] | None, *, json: bool) -> None:
    with store_of(name, option) as store, scratch_index(store) as index:
        declared = asdict(index.capabilities)
    if json:
        emit(declared)
        return
    table(
        f"{name}, connected",
        ["capability", ""],
        [(key, worded(key, value)) for key, value in declared.items()],
    )
