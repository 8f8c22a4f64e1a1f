"""Records in Parquet, through pyarrow."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

from vecbridge._client import Index
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._records import IndexInfo, Records
from vecbridge._errors import MissingDependencyError
from vecbridge.transfer._columns import ID, MARK, VECTOR, source
from vecbridge.transfer._progress import Progress
from vecbridge.transfer._source import Place, Source


class Format:
    """Writes and reads the format.

    Attributes:
        taken: names that no field can have beside it.
    """

    taken: ClassVar[frozenset[str]] = frozenset({ID, VECTOR})

    @staticmethod
    def write(index: Index, path: Path, consistency: Consistency, progress: Progress) -> int:
        """Write every record; return how many."""
        arrow, parquet = _pyarrow()
        info = index.info
        schema = _schema(arrow, info)
        total, written = index.count(consistency=consistency), 0
        with parquet.ParquetWriter(path, schema, write_page_checksum=True) as writer:
            for records in index.scan(consistency=consistency):
                writer.write_batch(_encoded(arrow, schema, records))
                written += len(records)
                progress("exporting", written, total)
        return written

    @staticmethod
    @contextmanager
    def opened(path: Path, batch_bytes: int) -> Iterator[Source]:
        """Yield the file, while the block lasts."""
        arrow, parquet = _pyarrow()
        place = Place(path, "column", ID, VECTOR)
        with place.reading("the file"):
            file = parquet.ParquetFile(path, page_checksum_verification=True)
        with file:
            yield source(arrow, file, place, batch_bytes)


def _schema(arrow: ModuleType, info: IndexInfo) -> Any:
    kinds = {
        "string": arrow.string(),
        "integer": arrow.int64(),
        "float": arrow.float64(),
        "boolean": arrow.bool_(),
    }
    columns = [
        (ID, arrow.string()),
        (VECTOR, arrow.list_(arrow.float32(), info.dimension)),
        *((name, kinds[kind]) for name, kind in info.fields.items()),
    ]
    said = json.dumps({"metric": info.metric, "index": info.name}).encode()
    return arrow.schema(columns, metadata={MARK: said})


def _encoded(arrow: ModuleType, schema: Any, records: Records) -> Any:
    flat = arrow.array(records.vectors.reshape(-1))
    width = records.vectors.shape[1]
    columns = [
        arrow.array(records.ids, arrow.string()),
        arrow.FixedSizeListArray.from_arrays(flat, width),
        *(
            arrow.array(records.fields[name], schema.field(name).type)
            for name in schema.names
            if name in records.fields
        ),
    ]
    return arrow.RecordBatch.from_arrays(columns, schema=schema)


def _pyarrow() -> tuple[ModuleType, ModuleType]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ModuleNotFoundError as error:
        raise MissingDependencyError(
            "Parquet needs pyarrow, which is not installed: pip install 'vecbridge[parquet]'",
            name="pyarrow",
        ) from error
    return pa, parquet
