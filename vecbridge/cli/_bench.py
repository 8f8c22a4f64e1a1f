"""``vecbridge bench``: how fast a store of one's own is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Annotated

import typer

from vecbridge._client import Index, Store
from vecbridge._contract._metric import parse_metric
from vecbridge._errors import UnsupportedError
from vecbridge.cli._console import emit, say, table
from vecbridge.cli._measuring import FIELD, Measured, Workload, measure
from vecbridge.cli._options import AsJson, Backend, Options, store_of
from vecbridge.cli._progress import bar
from vecbridge.diagnosis import scratch_index


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    name: Backend = None,
    records: Annotated[int, typer.Option(min=200, help="Records to write.")] = 10_000,
    dimension: Annotated[int, typer.Option(min=1, help="Length of the vectors.")] = 512,
    metric: Annotated[str, typer.Option(help="cosine, dotproduct or euclidean.")] = "cosine",
    k: Annotated[int, typer.Option("-k", min=1, help="Hits of a search.")] = 10,
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Time a store in less than a minute: writing, searching, fetching.

    Random vectors go to an index of their own, which is dropped again. Milliseconds are medians,
    in this process and over its connection.
    """
    work = Workload(records, dimension, k)
    with (
        store_of(name, option) as store,
        _index(store, dimension, metric) as index,
        bar(shown=not json) as progress,
    ):
        measured = measure(index, work, progress)
        backend = store.name
    if json:
        emit({"backend": backend, "metric": metric, **measured.figures()})
        return
    _show(measured, f"{backend}: {measured.written:,} x {dimension}, {metric}, k = {k}")


@contextmanager
def _index(store: Store, dimension: int, metric: str) -> Iterator[Index]:
    wanted = parse_metric(metric)
    with ExitStack() as held:
        try:
            made = scratch_index(
                store, dimension=dimension, metric=wanted, fields={FIELD: "boolean"}
            )
            index = held.enter_context(made)
        except UnsupportedError:
            index = held.enter_context(scratch_index(store, dimension=dimension, metric=wanted))
        yield index


def _show(measured: Measured, title: str) -> None:
    say(f"{title}\nwritten at {measured.rate:,.0f} records/s\n")
    columns = ["milliseconds", *measured.rankings]
    rows = [
        [what, *(_worded(times.get(ranking)) for ranking in measured.rankings)]
        for what, times in measured.searches.items()
    ]
    table("", columns, rows, numbers=len(measured.rankings))
    say("")
    reads = [(what, _worded(ms)) for what, ms in measured.reads.items()]
    table("", ["milliseconds", ""], reads, numbers=1)
    for note in measured.notes:
        say(f"\n{note}")


def _worded(milliseconds: float | None) -> str:
    return "-" if milliseconds is None else f"{milliseconds:,.2f}"
