"""``vecbridge list | describe | count | report``: what a store holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from vecbridge._landing import check_landing, landing
from vecbridge.cli._console import emit, errors, say, table, table_of_capabilities
from vecbridge.cli._filter_text import filter_of
from vecbridge.cli._options import (
    AsJson,
    Backend,
    Force,
    IndexName,
    Named,
    Options,
    Where,
    nearest_told,
    opened,
    options_of,
    store_of,
)
from vecbridge.cli._seen import saw_indexes


def list_indexes(name: Backend = None, option: Options = None, json: AsJson = False) -> None:
    """List the indexes of a store."""
    with store_of(name, option) as store:
        names = store.index_names()
        saw_indexes(store.name, options_of(option), names)
    if json:
        emit(names)
    elif names:
        say("\n".join(names))
    else:
        errors().print("there are no indexes here yet", highlight=False)


def describe(name: Named, index: IndexName, option: Options = None, json: AsJson = False) -> None:
    """Show the schema, the number of records and the capabilities of an index."""
    with opened(name, index, option) as held:
        info, capabilities = held.info, asdict(held.capabilities)
        about: dict[str, Any] = {
            "name": info.name,
            "dimension": info.dimension,
            "metric": info.metric,
            "fields": dict(info.fields),
            "unsupported": dict(info.unsupported),
            "consistency": info.consistency,
            "records": held.count(),
        }
    if json:
        emit({**about, "capabilities": capabilities})
        return
    table(f"{index} in {name}", ["", ""], [(key, _worded(value)) for key, value in about.items()])
    say("")
    table_of_capabilities("Capabilities", capabilities)


def count(
    name: Named, index: IndexName, where: Where = None, option: Options = None, json: AsJson = False
) -> None:
    """Count the records of an index, or those that match a filter."""
    matching = filter_of(where)
    with opened(name, index, option) as held:
        records = held.count(where=matching)
    if json:
        emit({"records": records})
    else:
        say(str(records))


def report(
    name: Named,
    index: IndexName,
    output: Annotated[
        Path | None, typer.Option("--output", help="The file to write; INDEX.html by default.")
    ] = None,
    sample: Annotated[int, typer.Option(min=1, help="Most records to examine.")] = 10_000,
    scan: Annotated[
        int, typer.Option(min=1, help="Most records to read: the sample is drawn from the first.")
    ] = 200_000,
    queries: Annotated[int, typer.Option(min=0, help="Records to search with.")] = 100,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits per search.")] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the random sample.")] = 0,
    read_only: Annotated[
        bool,
        typer.Option("--read-only", help="Write nothing to the store, and measure no lag."),
    ] = False,
    force: Force = False,
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Write an HTML report on an index: sizes, distances, duplicates, hubs, recall, lag.

    With --json, the figures are printed instead.
    """
    from vecbridge.cli._progress import bar
    from vecbridge.report import html_page, survey

    path = output or Path(f"{index}.html")
    written = not (json and output is None)
    if written:
        check_landing(path, overwrite=force)
    with (
        store_of(name, option) as store,
        nearest_told(store, index),
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


def _worded(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({kind})" for name, kind in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)
