"""Records as lines of JSON, plain or compressed by gzip. Reading them needs pyarrow."""

from __future__ import annotations

import gzip
import io
import json
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Literal, cast

from vecbridge._client import Index
from vecbridge._client._tables import Fault, Place
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge.transfer._source import ID, VECTOR, Progress, index_batches

_MOST_LINE_BYTES = 64 << 20
_IN_MEMORY = 32 << 20
if TYPE_CHECKING:
    from vecbridge._client._tables._arrow import Batches


def write(
    index: Index,
    path: Path,
    consistency: Consistency,
    progress: Progress,
    where: Filter | None,
    *,
    compressed: bool,
) -> int:
    """Write every record that matches; return how many."""
    written = 0
    with _binary(path, "wb", compressed=compressed) as raw, io.TextIOWrapper(raw, "utf-8") as file:
        for records in index_batches(index, "exporting", progress, consistency, where):
            columns = [records.ids, records.vectors.tolist(), *records.fields.values()]
            names = [ID, VECTOR, *records.fields]
            for row in zip(*columns, strict=True):
                record = dict(zip(names, row, strict=True))
                text = json.dumps(record, default=datetime.isoformat, ensure_ascii=False)
                file.write(text + "\n")
            written += len(records)
    return written


@contextmanager
def opened(path: Path, *, compressed: bool) -> Iterator[Batches]:
    """Yield a file as record batches, kept beside it on disk while the block lasts."""
    # Writing them needs no pyarrow.
    from vecbridge._client._tables._frames import of_records

    place = Place(path, "key", ID, VECTOR)
    with (
        tempfile.SpooledTemporaryFile(_IN_MEMORY) as kept,
        _binary(path, "rb", compressed=compressed) as file,
    ):
        yield of_records(_records(file, place), cast("IO[bytes]", kept), place)


def _binary(path: Path, mode: Literal["rb", "wb"], *, compressed: bool) -> IO[bytes]:
    opened = gzip.open(path, mode) if compressed else path.open(mode)  # noqa: SIM115 - the caller's
    return cast("IO[bytes]", opened)


class _RepeatedKeyError(Exception):
    """An object of JSON has a key twice, and which of its values is meant is not known."""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice = next(key for key, times in Counter(key for key, _ in pairs).items() if times > 1)
        raise _RepeatedKeyError(f"has the key {twice!r} twice")
    return made


def _records(file: IO[bytes], place: Place) -> Iterator[dict[str, Any] | Fault]:
    """Yield the records; what is wrong with a line that is none."""
    number = 0
    while True:
        with place.reading(f"line {number + 1}"):
            line = file.readline(_MOST_LINE_BYTES + 1)
        if not line:
            return
        number += 1
        if len(line) > _MOST_LINE_BYTES:
            raise place.unusable(f"line {number} has more than {_MOST_LINE_BYTES:,} bytes")
        if line.isspace():
            continue
        try:
            record = json.loads(line.rstrip(), object_pairs_hook=_object)
        except json.JSONDecodeError as error:
            yield Fault("", f"line {number} is not JSON: {error.msg}, at character {error.pos + 1}")
            continue
        except _RepeatedKeyError as error:
            yield Fault("", f"line {number} {error}")
            continue
        except (ValueError, RecursionError) as error:
            yield Fault("", f"line {number} is not JSON: {error}")
            continue
        if isinstance(record, dict):
            yield record
        else:
            yield Fault("", f"line {number} is a {type(record).__name__}, and no JSON object")
