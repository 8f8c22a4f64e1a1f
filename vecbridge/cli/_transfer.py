"""``vecbridge copy | export``: moving records, and proving that they arrived."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vecbridge._landing import check_landing
from vecbridge.cli._console import emit, say, warn_of_dropped, warn_of_memory
from vecbridge.cli._filter_text import filter_of
from vecbridge.cli._options import (
    AsJson,
    BothOptions,
    DaskCluster,
    DropUnsupported,
    Force,
    From,
    FromOptions,
    IndexName,
    Named,
    Options,
    Partitions,
    RayCluster,
    To,
    ToOptions,
    Where,
    Workers,
    executor_of,
    joined,
    opened,
    place_of,
    store_of,
)

if TYPE_CHECKING:
    from vecbridge._client import Index, Store


def copy_index(
    source: From,
    target: To,
    option: BothOptions = None,
    from_option: FromOptions = None,
    to_option: ToOptions = None,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted copy.")] = False,
    workers: Workers = None,
    dask: DaskCluster = None,
    ray: RayCluster = None,
    partitions: Partitions = None,
    drop_unsupported: DropUnsupported = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Show what would be done, and how long it is likely to take: a sample is written "
            "to a temporary index, which is then dropped.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Copy an index to another store, and verify that the copy is complete."""
    from vecbridge.cli._progress import bar
    from vecbridge.transfer import copy

    from_name, index_name = place_of(source)
    to_name, copied_name = place_of(target)
    with (
        opened(from_name, index_name, joined(option, from_option)) as index,
        store_of(to_name, joined(option, to_option)) as store,
    ):
        if dry_run:
            spread = (workers, dask, ray) != (None, None, None)
            _announce(
                index,
                store,
                copied_name,
                target,
                workers=workers,
                spread=spread,
                partitions=partitions,
                json=json,
            )
            warn_of_dropped(index, "copied")
            return
        with executor_of(workers, dask, ray) as executor, bar(shown=not json) as progress:
            done = copy(
                index,
                store,
                copied_name,
                resume=resume,
                drop_unsupported=drop_unsupported,
                executor=executor,
                partitions=partitions,
                progress=progress,
            )
        warn_of_memory(store, copied_name)
        warn_of_dropped(index, "copied")
    if json:
        emit(asdict(done))
        return
    again = f", {done.skipped:,} existed already" if done.skipped else ""
    parts = f" in {done.partitions:,} partitions" if done.partitions > 1 else ""
    say(f"{target}: {done.written:,} records written{parts}{again}, {done.seconds:,.1f} s")
    say(f"read back and compared: {done.checksum.records:,} records, {done.checksum.digest}")


def export_index(
    name: Named,
    index: IndexName,
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            help="A .parquet, .jsonl, .jsonl.gz or .npz file.",
            show_default=False,
        ),
    ],
    where: Where = None,
    force: Force = False,
    drop_unsupported: DropUnsupported = False,
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Write the records of an index to a file."""
    from vecbridge.cli._progress import bar
    from vecbridge.transfer import export_records

    matching = filter_of(where)
    check_landing(path, overwrite=force)
    with opened(name, index, option) as held:
        with bar(shown=not json) as progress:
            written = export_records(
                held,
                path,
                where=matching,
                overwrite=force,
                drop_unsupported=drop_unsupported,
                progress=progress,
            )
        warn_of_dropped(held, "written")
    if json:
        emit({"records": written, "path": str(path), "bytes": path.stat().st_size})
        return
    say(f"{path}: {written:,} records, {path.stat().st_size / 1e6:,.1f} MB")


def _announce(
    index: Index,
    store: Store,
    name: str,
    target: str,
    *,
    workers: int | None,
    spread: bool,
    partitions: int | None,
    json: bool,
) -> None:
    """Say what a copy would do, and how long it is likely to take."""
    from vecbridge.bulk import estimate

    info = index.info
    found = estimate(index, store, name, partitions=partitions, spread=spread)
    if json:
        emit({**asdict(found), "dimension": info.dimension, "seconds": found.seconds})
        return
    parts = f" in {found.partitions:,} partitions" if found.partitions > 1 else ""
    say(
        f"would copy {found.records:,} records of {info.dimension} dimensions "
        f"({found.vector_bytes / 1e6:,.1f} MB of vectors), {info.metric}, to {target}{parts}"
    )
    if found.seconds:
        share = f"; {workers} workers at best {found.seconds / workers:,.0f} s" if workers else ""
        say(
            f"one process is likely to take {found.seconds:,.0f} s{share}. Records per second, in "
            f"a sample of {found.sampled:,}: {found.reading:,.0f} read, "
            f"{found.writing:,.0f} written, {found.reading_back:,.0f} read back"
        )
    if found.exists:
        say(f"{target} exists already: give --resume, or another name")
