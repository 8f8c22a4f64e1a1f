"""``vecbridge delete | drop``: remove records or an index, after a question."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vecbridge._contract._consistency import strongest_level
from vecbridge._errors import (
    CorruptStoreError,
    InvalidArgumentError,
    SchemaMismatchError,
    UnsupportedError,
)
from vecbridge.cli._console import agreed, emit, errors, say
from vecbridge.cli._failures import Exit
from vecbridge.cli._filter_text import filter_of
from vecbridge.cli._options import (
    AsJson,
    IndexName,
    Named,
    Options,
    Where,
    nearest_told,
    opened,
    options_of,
    store_of,
)
from vecbridge.cli._seen import dropped_index

if TYPE_CHECKING:
    from vecbridge._client import Index, Store
    from vecbridge.filters import Filter

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Remove without asking.")]

_UNREADABLE = (CorruptStoreError, SchemaMismatchError, UnsupportedError)
"""Errors of opening an index that can be dropped all the same."""


def delete(
    name: Named,
    index: IndexName,
    where: Where = None,
    given: Annotated[
        list[str] | None,
        typer.Option("--id", help="The id of a record; can be given several times."),
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A UTF-8 file of ids, one per line; - reads them from the standard input.",
        ),
    ] = None,
    yes: Yes = False,
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Remove the records that match a filter, or those with the given ids.

    The records are found first, then removed by id: a record that another writer changes in between
    is removed too.
    """
    matching = filter_of(where)
    if [matching, ids, given or None].count(None) != 2:
        raise InvalidArgumentError("say which records: give one of --where, --id and --ids")
    wanted = (given or []) if ids is None else _listed(ids)
    with opened(name, index, option) as held:
        missing: list[str] = []
        if matching is not None:
            found = _matching(held, matching)
        else:
            found, missing = _there(held, wanted)
        of = f"records of {index} in {name}"
        without = f"; ids without a record: {len(missing):,}" if missing else ""
        if found and not yes and not agreed(f"Remove {len(found):,} {of}{without}?"):
            errors().print("nothing was removed", highlight=False)
            raise typer.Exit(Exit.NO)
        if found:
            held.delete(found)
    if json:
        emit({"removed": len(found), "missing": missing})
    else:
        say(f"removed {len(found):,} {of}{without}")


def drop(
    name: Named, index: IndexName, yes: Yes = False, option: Options = None, json: AsJson = False
) -> None:
    """Remove an index and its records."""
    with store_of(name, option) as store, nearest_told(store, index):
        records = _count(store, index)
        known = "an unknown number of records" if records is None else f"{records:,} records"
        if not yes and not agreed(f"Remove index {index} in {name}, with {known}?"):
            errors().print("nothing was removed", highlight=False)
            raise typer.Exit(Exit.NO)
        store.drop_index(index)
        dropped_index(store.name, options_of(option), index)
    if json:
        emit({"removed": records, "index": index})
    else:
        say(f"removed index {index} in {name}, with {known}")


def _listed(path: Path) -> list[str]:
    try:
        data = sys.stdin.buffer.read() if str(path) == "-" else path.read_bytes()
        lines = data.decode("utf-8-sig").split("\n")
    except UnicodeDecodeError as error:
        raise InvalidArgumentError(f"{path} is not a file of ids: {error}") from error
    return [line for line in (each.removesuffix("\r") for each in lines) if line]


def _matching(index: Index, where: Filter) -> list[str]:
    level = strongest_level(index.capabilities.consistency)
    batches = index.scan(where=where, fields=False, vectors=False, consistency=level)
    return [each for records in batches for each in records.ids]


def _there(index: Index, ids: list[str]) -> tuple[list[str], list[str]]:
    """Return the ids that have a record, and those that have none."""
    distinct = list(dict.fromkeys(ids))
    level = strongest_level(index.capabilities.consistency)
    known = index.contains(distinct, consistency=level)
    found = {each for each, is_known in zip(distinct, known, strict=True) if is_known}
    return sorted(found), [each for each in distinct if each not in found]


def _count(store: Store, name: str) -> int | None:
    """Return how many records an index has; ``None`` where it cannot be opened."""
    try:
        with store.open_index(name) as index:
            return index.count(consistency=strongest_level(index.capabilities.consistency))
    except _UNREADABLE:
        return None
