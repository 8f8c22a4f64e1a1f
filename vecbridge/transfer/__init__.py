"""Move records: from one store to another, and to files and back.

Everything here streams: memory holds a few batches, whatever the size of the index. A whole file is
checked before an index is changed, and a file is written completely or not at all. Copying and
comparing indexes is implemented in :mod:`vecbridge.bulk`.
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
