"""Work on whole indexes, partition by partition: in this process, or on any executor.

An index is cut into ranges of ids by :func:`plan`. A function of one partition opens its indexes by
names and settings, can safely be called again, and reports a number and a checksum; the stores, not
a file, show what is done. The caller chooses where it runs: on any ``concurrent.futures.Executor``.
:func:`vecbridge.transfer.copy` and :func:`vecbridge.transfer.verify` are built from these parts,
and so can your own scheduler be.
"""

from __future__ import annotations

from vecbridge.bulk._copy import finish
from vecbridge.bulk._dask import dask_executor
from vecbridge.bulk._duplicates import duplicates
from vecbridge.bulk._estimate import Estimate, estimate
from vecbridge.bulk._neighbors import neighbors
from vecbridge.bulk._parts import Digest, Sent, copy_part, digest_part
from vecbridge.bulk._pipelines import PartReader, TableWriter
from vecbridge.bulk._plan import Partition, Plan, plan
from vecbridge.bulk._pool import WorkerPool
from vecbridge.bulk._ray import RayExecutor
from vecbridge.bulk._writing import Batch, Written, write

__all__ = [
    "Batch",
    "Digest",
    "Estimate",
    "PartReader",
    "Partition",
    "Plan",
    "RayExecutor",
    "Sent",
    "TableWriter",
    "WorkerPool",
    "Written",
    "copy_part",
    "dask_executor",
    "digest_part",
    "duplicates",
    "estimate",
    "finish",
    "neighbors",
    "plan",
    "write",
]
