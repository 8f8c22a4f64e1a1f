"""Move records: from one store to another, and to files and back.

Everything here streams: memory holds a few batches, whatever the size of the index. A source gives
batches; all of a file is checked before an index is changed; a file lands whole or not at all; and
a copy is verified by what is read back.
"""

from __future__ import annotations

from vecbridge._client._tables import Imported, ImportedColumn
from vecbridge.transfer._checksum import Checksum, checksum
from vecbridge.transfer._copy import Copied, copy
from vecbridge.transfer._differences import Changed, Differences
from vecbridge.transfer._files import export_records
from vecbridge.transfer._importing import import_records
from vecbridge.transfer._source import Progress, silent
from vecbridge.transfer._verify import Verified, verify

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
