"""``vecbridge doctor``: what is wrong, and what to do."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.markup import escape

from vecbridge.cli._console import emit, out
from vecbridge.cli._failures import Exit
from vecbridge.cli._options import AsJson, Backend, Options, options_of
from vecbridge.diagnosis import Finding, diagnose

_SIGNS = {"ok": "[green]✓[/]", "warning": "[yellow]![/]", "failed": "[red]✗[/]"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(
    name: Backend = None,
    option: Options = None,
    read_only: Annotated[
        bool, typer.Option("--read-only", help="Write nothing, not even to an own index.")
    ] = False,
    json: AsJson = False,
) -> None:
    """Say what is wrong with a store, and what to do about it."""
    found = []
    for finding in diagnose(name, write=not read_only, **options_of(option)):
        found.append(finding)
        if not json:
            _show(finding)
    failed = any(finding.status == "failed" for finding in found)
    if json:
        emit({"ok": not failed, "findings": [asdict(finding) for finding in found]})
    raise typer.Exit(Exit.NO if failed else Exit.OK)


def _show(finding: Finding) -> None:
    out.print(
        f"{_SIGNS[finding.status]} [bold]{escape(finding.check)}[/]  {escape(finding.found)}",
        highlight=False,
    )
    if finding.advice:
        out.print(f"    → {escape(finding.advice)}", highlight=False)
