"""Writing any number of records, in batches that fit the store."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vecbridge._client import _field_values as field_values
from vecbridge._client import _validate as validate
from vecbridge._client import _vector_values as vector_values
from vecbridge._contract._protocols import VectorIndex
from vecbridge._contract._records import Fields, Scalar
from vecbridge._errors import BackendError, InvalidArgumentError, PartialWriteError

_ID_BYTES = 64
_SCALAR_BYTES = 32
_ERASED = "An upsert replaces records whole, and would erase it from those that are there"


def upsert_records(
    index: VectorIndex,
    ids: Iterable[str],
    vectors: ArrayLike,
    fields: Fields | None,
    backend: str,
    *,
    dropped: bool,
) -> None:
    """Check records and write them, batch by batch, as :meth:`vecbridge.Index.upsert` says.

    Args:
        index: the engine to write to.
        ids: ids of the records.
        vectors: ``(n, d)``.
        fields: a column of each field.
        backend: its name, for an error that names none.
        dropped: the caller said that what no field type expresses may be erased.

    Raises:
        InvalidInputError: an argument is unusable.
        UnsupportedError: something would be erased, or the store asks for more than records have.
        PartialWriteError: a batch failed, for whatever reason, after others were acknowledged.
        BackendError: the first batch failed.
    """
    info = index.info
    column = validate.ids(ids, unique=True, max_bytes=info.max_id_bytes)
    array = vector_values.vectors(vectors, dimension=info.dimension, ids=column)
    if len(array) != len(column):
        raise InvalidArgumentError(
            f"expected one vector per id; got {len(column)} ids and {len(array)} vectors"
        )
    columns = field_values.fields(fields, info, column)
    validate.refuse_unwritable(info)
    validate.refuse_unsupported(info, _ERASED, dropped=dropped)
    if column:
        _in_batches(index, column, array, columns, backend)


def _in_batches(
    index: VectorIndex,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    fields: dict[str, list[Scalar]],
    backend: str,
) -> None:
    size = _batch_size(index, ids, vectors, fields)
    for start in range(0, len(ids), size):
        stop = start + size
        columns = {name: column[start:stop] for name, column in fields.items()}
        try:
            index.upsert(ids[start:stop], vectors[start:stop], columns)
        except Exception as error:
            if not start and not isinstance(error, PartialWriteError):
                raise
            raise _partial(error, ids, start, backend) from error


def _batch_size(
    index: VectorIndex,
    ids: Sequence[str],
    vectors: NDArray[np.float32],
    fields: dict[str, list[Scalar]],
) -> int:
    budget = index.capabilities.max_batch_bytes
    if budget is None:
        return max(len(ids), 1)
    texts = [column for column in fields.values() if column and isinstance(column[0], str)]
    widest = max(len(each.encode()) for each in ids)
    for column in texts:
        widest += max(len(str(value).encode()) for value in column)
    row = 4 * vectors.shape[1] + _ID_BYTES + widest + _SCALAR_BYTES * len(fields)
    return max(1, budget // int(row))


def _partial(error: Exception, ids: Sequence[str], start: int, backend: str) -> PartialWriteError:
    operation, retryable = "upsert", False
    if isinstance(error, BackendError):
        backend, operation, retryable = error.backend, error.operation, error.retryable
    written = [*ids[:start]]
    if isinstance(error, PartialWriteError):
        written += error.written
    done = set(written)
    unknown = [each for each in ids[start:] if each not in done]
    return PartialWriteError(
        f"{len(written)} of {len(ids)} records were acknowledged before the store failed: "
        f"{str(error).rstrip('.')}. Do the same call again: it is safe, and completes the rest.",
        backend=backend,
        operation=operation,
        written=written,
        unknown=unknown,
        retryable=retryable,
    )
