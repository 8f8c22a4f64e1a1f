"""Move records: from one store to another, and to files and back.

Everything here streams: memory holds a few batches, whatever the size of the index. A source gives
batches; all of a file is checked before an index is changed; and a file lands whole or not at all.
Copies of indexes and their comparison are those of :mod:`vecbridge.bulk`.
"""

from __future__ import annotations

from vecbridge._client._tables import Imported, ImportedColumn
from vecbridge.bulk._checksum import Checksum, checksum
from vecbridge.bulk._copy import Copied, copy
from vecbridge.bulk._differences import Changed, Differences
from vecbridge.bulk._verify import Verified, verify
from vecbridge.transfer._files import export_records
from vecbridge.transfer._importing import import_records
from vecbridge.transfer._source import Progress, silent

__all__ = [
    "Changed",
    "Checksum",
    "Copied",
    "Differences",
    "Imported",
    "ImportedColumn",
    "Progress",
    "Verified",
    "checksum",
    "copy",
    "export_records",
    "import_records",
    "silent",
    "verify",
]
