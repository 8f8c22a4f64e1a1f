"""``vecbridge report``: a page that shows an index."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from vecbridge.cli._console import emit, say
from vecbridge.cli._options import AsJson, Force, IndexName, Named, Options, store_of
from vecbridge.cli._progress import bar
from vecbridge.report import html_page, survey
from vecbridge.transfer._landing import check_landing, landing


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("report")(report)


def report(
    name: Named,
    index: IndexName,
    output: Annotated[
        Path | None, typer.Option("--output", help="The page; INDEX.html by default.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Most records to look at.")] = 10_000,
    scan: Annotated[
        int, typer.Option(min=1, help="Most records to read: these are drawn from the first.")
    ] = 200_000,
    queries: Annotated[int, typer.Option(min=0, help="Records to search with.")] = 100,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits of a search.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Of the draws.")] = 0,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", help="Write nothing to the store; then no lag is measured."),
    ] = False,
    force: Force = False,
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Write a page about an index: sizes, distances, duplicates, hubs, recall, lag.

    With --json, its figures are printed instead.
    """
    path = output or Path(f"{index}.html")
    written = not (json and output is None)
    if written:
        check_landing(path, overwrite=force)
    with (
        store_of(name, option) as store,
        bar(shown=not json) as progress,
    ):
        seen = survey(
            store,
            index,
            sample=sample,
            scan=scan,
            queries=queries,
            k=k,
            seed=seed,
            write=not read_only,
            progress=progress,
        )
    if json:
        emit({**asdict(seen), "whole": seen.whole})
    if written:
        with landing(path, overwrite=force) as partial:
            partial.write_text(html_page(seen), encoding="utf-8")
    if not json:
        say(f"{path}: {seen.sampled:,} of {seen.records:,} records, {path.stat().st_size:,} bytes")
