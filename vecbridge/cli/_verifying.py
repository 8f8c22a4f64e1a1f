"""``vecbridge verify``: whether two indexes are the same, and if not, what differs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from vecbridge.cli._console import cell, emit, say, table, warn_of_dropped
from vecbridge.cli._failures import Exit
from vecbridge.cli._options import (
    AsJson,
    BothOptions,
    DaskCluster,
    DropUnsupported,
    From,
    FromOptions,
    Partitions,
    RayCluster,
    To,
    ToOptions,
    Workers,
    executor_of,
    joined,
    opened,
    place_of,
)

if TYPE_CHECKING:
    from vecbridge.transfer import Changed, Differences, Verified


def verify_indexes(
    first: From,
    second: To,
    option: BothOptions = None,
    from_option: FromOptions = None,
    to_option: ToOptions = None,
    queries: Annotated[int, typer.Option(min=0, help="Rankings to compare.")] = 20,
    k: Annotated[int, typer.Option("-k", min=1, help="Hits per ranking.")] = 10,
    limit: Annotated[
        int, typer.Option(min=0, help="Records to list of each kind: missing, extra, changed.")
    ] = 10,
    workers: Workers = None,
    dask: DaskCluster = None,
    ray: RayCluster = None,
    partitions: Partitions = None,
    drop_unsupported: DropUnsupported = False,
    json: AsJson = False,
) -> None:
    """Check whether two indexes are the same, and show which records differ and how.

    Two indexes are the same if they have the same metric and fields, hold the same records, and
    rank them the same to the last bit. The exit code is then 0; it is 1 if anything differs.
    """
    from vecbridge.cli._progress import bar
    from vecbridge.transfer import verify

    with (
        opened(*place_of(first), joined(option, from_option)) as one,
        opened(*place_of(second), joined(option, to_option)) as other,
        executor_of(workers, dask, ray) as executor,
        bar(shown=not json) as progress,
    ):
        found = verify(
            one,
            other,
            queries=queries,
            k=k,
            limit=limit,
            drop_unsupported=drop_unsupported,
            executor=executor,
            partitions=partitions,
            progress=progress,
        )
        for index in (one, other):
            warn_of_dropped(index, "compared")
    if json:
        emit({**asdict(found), "same": found.same})
    else:
        _show(found, first, second)
    raise typer.Exit(Exit.OK if found.same else Exit.NO)


def _show(found: Verified, first: str, second: str) -> None:
    for name, each in ((first, found.first), (second, found.second)):
        say(f"{name}: {each.records:,} records, {each.digest}")
    for part in found.partitions if found.cut > 1 else ():
        say(f"differs: {part}")
    _show_differences(found.differences, first, second)
    ranked = found.queries - len(found.differing)
    say(f"{ranked} of {found.queries} rankings are the same: ids, order and every bit")
    say("the same" if found.same else "NOT the same")


def _show_differences(found: Differences, first: str, second: str) -> None:
    columns = ["", f"in {first}", f"in {second}"]
    if found.schema:
        rows = [(name, *(each or "-" for each in pair)) for name, pair in found.schema.items()]
        table("Schema", columns, rows)
    _name_ids(f"Only in {first}", found.missing, found.missing_ids)
    _name_ids(f"Only in {second}", found.extra, found.extra_ids)
    if found.changed:
        title = _counted("In both, but different", found.changed, found.changed_records)
        rows = [row for each in found.changed_records for row in _parts(each)]
        table(title, ["id", "what", *columns[1:]], rows)


def _name_ids(title: str, count: int, ids: Sequence[str]) -> None:
    if count:
        table(_counted(title, count, ids), ["id"], [(each,) for each in ids])


def _counted(title: str, count: int, named: Sequence[object]) -> str:
    first = f", the first {len(named):,}" if 0 < len(named) < count else ""
    return f"{title}: {count:,} record{'' if count == 1 else 's'}{first}"


def _parts(changed: Changed) -> Iterator[tuple[str, ...]]:
    """Yield a row for the vector, if it differs, and for each field that does."""
    import numpy as np

    if changed.component is not None:
        at, one, other = changed.component
        more = changed.components - 1
        also = f", and {more:,} more" if more else ""
        # As float32 they are shorter, and still tell any two apart.
        yield changed.id, f"vector[{at}]{also}", str(np.float32(one)), str(np.float32(other))
    for name, pair in changed.fields.items():
        yield (changed.id, name, *("(missing)" if each is None else cell(each) for each in pair))
