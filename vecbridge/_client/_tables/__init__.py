"""Tables of records that others made: their columns chosen, every value checked, and written.

A table is a :class:`Source`, which gives rows in batches as often as it is asked. Files are read
by :mod:`vecbridge.transfer`; data frames, Arrow tables and records here (``_frames``, as Arrow:
``_arrow``). One rule chooses the columns of all of them (``_columns``), and nothing of a table is
written before all of it is checked (``_check``).
"""

from __future__ import annotations

from vecbridge._client._tables._check import Checked, check, held_by
from vecbridge._client._tables._columns import Chosen, Column, Selection, choose
from vecbridge._client._tables._importing import (
    Imported,
    ImportedColumn,
    OnError,
    Rejecting,
    imported,
    refuse_other_dimension,
    upsert_table,
    write,
)
from vecbridge._client._tables._source import (
    BATCH_BYTES,
    Fault,
    Place,
    Progress,
    Rows,
    Source,
    rows_at_once,
    silent,
)

__all__ = [
    "BATCH_BYTES",
    "Checked",
    "Chosen",
    "Column",
    "Fault",
    "Imported",
    "ImportedColumn",
    "OnError",
    "Place",
    "Progress",
    "Rejecting",
    "Rows",
    "Selection",
    "Source",
    "check",
    "choose",
    "held_by",
    "imported",
    "refuse_other_dimension",
    "rows_at_once",
    "silent",
    "upsert_table",
    "write",
]
