"""``vecbridge list | describe | search | report``: what a store holds."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from numpy.typing import NDArray

from vecbridge._client import Index
from vecbridge._contract._hits import Hits
from vecbridge._contract._ranking import parse_ranking
from vecbridge._errors import InvalidArgumentError
from vecbridge.cli._console import bar, emit, errors, say, table, table_of_capabilities
from vecbridge.cli._options import (
    AsJson,
    Backend,
    Force,
    IndexName,
    Named,
    Options,
    opened,
    store_of,
)
from vecbridge.report import html_page, survey
from vecbridge.transfer._landing import check_landing, landing


def list_indexes(name: Backend = None, option: Options = None, json: AsJson = False) -> None:
    """List the indexes of a store."""
    with store_of(name, option) as store:
        names = store.index_names()
    if json:
        emit(names)
    elif names:
        say("\n".join(names))
    else:
        errors.print("there are no indexes here yet", highlight=False)


def describe(name: Named, index: IndexName, option: Options = None, json: AsJson = False) -> None:
    """Show what an index is, how many records it holds, and what can be asked of it."""
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
    table_of_capabilities("It can", capabilities)


def search(
    name: Named,
    index: IndexName,
    like: Annotated[
        str | None, typer.Option("--id", help="Search with the vector of this record.")
    ] = None,
    vector: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Search with the vectors of this .npy file."
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many hits.")] = 10,
    farthest: Annotated[bool, typer.Option("--farthest", help="The farthest instead.")] = False,
    ranking: Annotated[
        str,
        typer.Option(help="How sure the answer has to be: exact, certified, no-scan or native."),
    ] = "exact",
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Rank the records of an index by their distance to a record or to vectors of a file."""
    if (like is None) == (vector is None):
        raise InvalidArgumentError("give one of --id and --vector")
    wanted = parse_ranking(ranking)
    if farthest and wanted in ("no-scan", "native"):
        raise InvalidArgumentError(f"--farthest is always certified; leave out --ranking {wanted}")
    with opened(name, index, option) as held:
        queries = _from_file(vector) if vector is not None else _of_record(held, str(like))
        answers = held.farthest(queries, k) if farthest else held.search(queries, k, ranking=wanted)
    if json:
        names = ("ids", "distances", "exact")
        emit([{name: getattr(hits, name) for name in names} for hits in answers])
        return
    for number, hits in enumerate(answers):
        _show(hits, f"Query {number}" if len(answers) > 1 else "")


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
    with store_of(name, option) as store, bar(shown=not json) as progress:
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


def _show(hits: Hits, title: str) -> None:
    rows = [(place, hit.id, f"{hit.distance:.9g}") for place, hit in enumerate(hits, start=1)]
    table(title, ["", "id", "distance"], rows, numbers=1)
    if not hits.exact:
        say("not certified; --ranking certified looks at every record")


def _worded(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name} ({kind})" for name, kind in value.items()) or "none"
    return f"{value:,}" if isinstance(value, int) else str(value)


def _from_file(path: Path) -> NDArray[Any]:
    try:
        # Never with pickles: a file of vectors must not be able to run anything.
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidArgumentError(f"{path} is no .npy file of vectors: {error}") from error
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise InvalidArgumentError(f"{path} holds several arrays; a .npy file holds one")
    return loaded


def _of_record(index: Index, name: str) -> NDArray[np.float32]:
    found = index.fetch([name])
    if found.missing:
        raise InvalidArgumentError(f"index {index.info.name!r} has no record of the id {name!r}")
    return found.vectors
