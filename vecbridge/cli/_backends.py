"""``vecbridge backends | doctor | config``: what is installed, configured, and in good order."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vecbridge._config._registry import backend_names, get_backend
from vecbridge._errors import MissingDependencyError, VecbridgeError
from vecbridge.cli import _completion as completing
from vecbridge.cli._console import emit, out, table, table_of_capabilities
from vecbridge.cli._failures import Exit
from vecbridge.cli._options import AsJson, Backend, Options, given_of, store_of

if TYPE_CHECKING:
    from vecbridge.diagnosis import Finding

_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


def backends(
    live: str | None = typer.Option(
        None,
        metavar="NAME",
        help="Connect to this backend, and show what it can do.",
        autocompletion=completing.backends,
    ),
    option: Options = None,
    json: AsJson = False,
) -> None:
    """List the backends, whether each is usable, and how to install missing packages.

    Each backend is imported, which may take seconds: an installed engine can fail to load.
    """
    if live is not None:
        _show_live(live, option, json=json)
        return
    found = [_state(name) for name in backend_names()]
    if json:
        emit(found)
    else:
        table("Backends", ["name", "state", ""], [list(each.values()) for each in found])


def _show_live(name: str, option: list[str] | None, *, json: bool) -> None:
    from vecbridge.diagnosis import scratch_index

    with store_of(name, option) as store, scratch_index(store) as index:
        declared = asdict(index.capabilities)
    if json:
        emit(declared)
    else:
        table_of_capabilities(f"{name}, connected", declared)


def _state(name: str) -> dict[str, str]:
    try:
        get_backend(name)
    except MissingDependencyError as error:
        return {"name": name, "state": "not installed", "advice": str(error)}
    except VecbridgeError as error:
        return {"name": name, "state": "not configured", "advice": str(error)}
    return {"name": name, "state": "installed", "advice": ""}


def doctor(
    name: Backend = None,
    option: Options = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Write nothing, not even to a temporary index.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Find out what is wrong with a store, and how to fix it."""
    from vecbridge.diagnosis import findings

    found = []
    for finding in findings(name, given_of(option), write=not read_only):
        found.append(finding)
        if not json:
            _show(finding)
    failed = any(finding.status == "failed" for finding in found)
    if json:
        emit({"ok": not failed, "findings": [asdict(finding) for finding in found]})
    raise typer.Exit(Exit.NO if failed else Exit.OK)


def _show(finding: Finding) -> None:
    from rich.markup import escape

    sign, check = _SIGNS[finding.status], escape(finding.check)
    out().print(f"{sign} [bold]{check}[/]  {escape(finding.found)}", highlight=False)
    if finding.advice:
        out().print(f"    → {escape(finding.advice)}", highlight=False)
