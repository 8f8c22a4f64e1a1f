"""Names that files of records share."""

from __future__ import annotations

from vecbridge.bulk._reading import Progress, index_batches, silent

__all__ = ["ID", "PARQUET_SUFFIXES", "TAKEN", "VECTOR", "Progress", "index_batches", "silent"]

PARQUET_SUFFIXES = (".parquet", ".pq", ".parq")
ID, VECTOR = "id", "vector"
TAKEN = frozenset({ID, VECTOR})
"""Names that no field can have in a Parquet file or a line of JSON, beside the ids and vectors."""
