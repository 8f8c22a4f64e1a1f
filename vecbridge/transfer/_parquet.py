"""Records in Parquet: a file, or a folder of shards. Importing this needs pyarrow."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from pyarrow import parquet

from vecbridge._client import Index
from vecbridge._client._tables import Place
from vecbridge._client._tables._arrow import Batches, metric_of, said_of
from vecbridge._contract._arrow import record_batch, schema_of
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._errors import InvalidArgumentError
from vecbridge.transfer._source import ID, PARQUET_SUFFIXES, VECTOR, Progress, index_batches

logger = logging.getLogger(__name__)

_BUFFER_BYTES = 1 << 20
"""Read at a time of a column; without, a column is in memory as far as its row group goes."""

_SPARK = b"org.apache.spark.version"


def write(
    index: Index,
    path: Path,
    consistency: Consistency,
    progress: Progress,
    where: Filter | None,
) -> int:
    """Write every record that matches; return how many."""
    schema = schema_of(index.info)
    written = 0
    with parquet.ParquetWriter(path, schema, write_page_checksum=True) as writer:
        for records in index_batches(index, "exporting", progress, consistency, where):
            writer.write_batch(record_batch(records, schema))
            written += len(records)
    return written


@contextmanager
def opened(path: Path) -> Iterator[Batches]:
    """Yield a file, or the shards in a folder, as record batches, while the block lasts."""
    shards = _shards(path) if path.is_dir() else [path]
    with ExitStack() as stack:
        files = [stack.enter_context(_opened(shard)) for shard in shards]
        yield _batches(path, shards, files)


def _shards(folder: Path) -> list[Path]:
    """Return the files of a folder that hold records, by name."""
    # What begins so, Spark and others write for themselves, such as _SUCCESS.
    there = sorted(each for each in folder.iterdir() if not each.name.startswith(("_", ".")))
    if inner := [each.name for each in there if each.is_dir()]:
        raise InvalidArgumentError(
            f"{folder} has folders in it, such as {inner[:3]}. Import each by itself, or open them "
            f"with pyarrow.dataset.dataset(..., partitioning='hive'), which import_records accepts"
        )
    shards = [each for each in there if each.suffix.lower() in PARQUET_SUFFIXES]
    if not shards:
        raise InvalidArgumentError(f"{folder} is a folder without .parquet files")
    if others := [each.name for each in there if each not in shards]:
        logger.warning("files in folder %s that are not .parquet are ignored: %s", folder, others)
    return shards


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    with Place(path, "column", ID, VECTOR).reading("the file"):
        # Spark's times are of microseconds; as nanoseconds, the years before 1678 would not fit.
        file = parquet.ParquetFile(
            path,
            page_checksum_verification=True,
            buffer_size=_BUFFER_BYTES,
            pre_buffer=False,
            coerce_int96_timestamp_unit="us",
            **_with_extensions(),
        )
    with file:
        yield file


def _with_extensions() -> dict[str, bool]:
    """Return what makes a UUID be read as one, where this pyarrow can."""
    import inspect

    known = inspect.signature(parquet.ParquetFile.__init__).parameters
    return {"arrow_extensions_enabled": True} if "arrow_extensions_enabled" in known else {}


def _batches(path: Path, shards: Sequence[Path], files: Sequence[Any]) -> Batches:
    place = Place(path, "column", ID, VECTOR)
    starts, records, size = [], 0, 0
    instants: set[str] = set()
    for shard, file in zip(shards, files, strict=True):
        with Place(shard, "column", ID, VECTOR).reading("its description"):
            groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
            starts.append((records, shard))
            records += file.metadata.num_rows
            size += sum(group.total_byte_size for group in groups)
            instants |= _instants(file)
    if path.is_dir():
        place = Place(path, "column", ID, VECTOR, starts)

    def read(rows: int, columns: Sequence[str]) -> Iterator[Any]:
        for shard, file in zip(shards, files, strict=True):
            with Place(shard, "column", ID, VECTOR).reading("the file"):
                yield from file.iter_batches(batch_size=rows, columns=list(columns))

    with place.reading("its description"):
        schemas = [
            (str(shard), file.schema_arrow) for shard, file in zip(shards, files, strict=True)
        ]
        return Batches(
            place,
            schemas,
            records,
            size // max(records, 1),
            read,
            frozenset(instants),
            metric_of(schemas[0][1]),
            said_of(schemas[0][1]),
        )


def _instants(file: Any) -> set[str]:
    """Return the columns in which Spark keeps instants, in UTC, though their type names no zone."""
    if _SPARK not in (file.schema_arrow.metadata or {}):
        return set()
    leaves = (file.schema.column(at) for at in range(len(file.schema)))
    return {leaf.path for leaf in leaves if leaf.physical_type == "INT96"}
