"""What a store behind a client needs, for authors of backends.

An author derives from :class:`RemoteBackend`, writes the few calls of :class:`Collection`, and
lists in an :class:`ErrorTable` what the client's exceptions mean. From here come deadlines,
reconnecting, pools, forks and threads (:class:`Link`), exact ranking on top of "the nearest n, with
vectors" (:class:`ExactRanker`), approximate search by a recall (:class:`ApproximateRanker`), and
the rest of the contract (:class:`RemoteIndex`). ``vecbridge_pgvector`` is a whole one.
"""

from __future__ import annotations

from vecbridge.remote._approximate import ApproximateRanker
from vecbridge.remote._backend import RemoteBackend
from vecbridge.remote._catalogue import (
    float_key,
    float_of,
    from_document,
    index_names,
    is_name,
    storage_name,
    to_document,
    uuid_of,
)
from vecbridge.remote._collection import (
    NORM,
    ApproximateCollection,
    Collection,
    Columns,
    Nearest,
    Page,
    PartitionedCollection,
    SearchedCollection,
    id_bounds,
)
from vecbridge.remote._failures import Cause, ErrorTable, passes_by_itself, retrying
from vecbridge.remote._foreign import ForeignSchema
from vecbridge.remote._index import RemoteIndex
from vecbridge.remote._link import Connector, Link
from vecbridge.remote._parts import TooLargeError, in_parts
from vecbridge.remote._process_lock import ProcessLock
from vecbridge.remote._recall import Effort, Probe, RecallTuner
from vecbridge.remote._search import ExactRanker, Outside, joined
from vecbridge.remote._settings import GivenNames, RemoteSettings

__all__ = [
    "NORM",
    "ApproximateCollection",
    "ApproximateRanker",
    "Cause",
    "Collection",
    "Columns",
    "Connector",
    "Effort",
    "ErrorTable",
    "ExactRanker",
    "ForeignSchema",
    "GivenNames",
    "Link",
    "Nearest",
    "Outside",
    "Page",
    "PartitionedCollection",
    "Probe",
    "ProcessLock",
    "RecallTuner",
    "RemoteBackend",
    "RemoteIndex",
    "RemoteSettings",
    "SearchedCollection",
    "TooLargeError",
    "float_key",
    "float_of",
    "from_document",
    "id_bounds",
    "in_parts",
    "index_names",
    "is_name",
    "joined",
    "passes_by_itself",
    "retrying",
    "storage_name",
    "to_document",
    "uuid_of",
]
