"""The neighbours that are measured: a deployment for each."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import vecbridge
from tests.neighbours._backend import Known, NeighbourBackend, milvus_maker, sklearn_maker
from tests.neighbours._index import Use
from vecbridge_conformance import Deployment

MILVUS_MAX_K = 16384


@contextmanager
def sklearn(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's sklearn backend."""
    with _samples() as samples:
        known: Known = {}
        make = sklearn_maker(samples)

        def opener() -> vecbridge.Store:
            return vecbridge.Store(
                NeighbourBackend(
                    make,
                    known,
                    metrics=("cosine", "euclidean"),
                    lasting=False,
                    use=use,
                    packages=("scikit-learn",),
                )
            )

        yield Deployment("fiftyone-sklearn", label=label, opener=opener)


@contextmanager
def milvus(uri: str, label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Milvus backend, on a server or on Milvus Lite."""
    with _samples() as samples:
        known: Known = {}
        make = milvus_maker(samples, uri)

        def opener() -> vecbridge.Store:
            return vecbridge.Store(
                NeighbourBackend(
                    make,
                    known,
                    max_k=MILVUS_MAX_K,
                    lasting=True,
                    use=use,
                    packages=("pymilvus",),
                )
            )

        yield Deployment("fiftyone-milvus", label=label, opener=opener)


@contextmanager
def milvus_lite(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Milvus backend on Milvus Lite."""
    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with temporary as folder, milvus(str(Path(folder) / "theirs.db"), label, use) as deployment:
        yield deployment


@contextmanager
def milvus_server(label: str, use: Use) -> Iterator[Deployment]:
    """FiftyOne's Milvus backend on a standalone server."""
    from tests.servers.milvus import running_milvus

    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with (
        temporary as folder,
        running_milvus(Path(folder)) as server,
        milvus(server.uri, label, use) as deployment,
    ):
        yield deployment


@contextmanager
def _samples() -> Iterator[Any]:
    """An empty dataset, which their constructors ask for."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import fiftyone
        import fiftyone.brain

        dataset = fiftyone.Dataset()
    try:
        yield dataset
    finally:
        dataset.delete()


_USES = {
    "": Use(),
    "-ids-at-hand": Use(ids_at_hand=True),
    "-checked": Use(checks=True, ids_at_hand=True),
}
_STORES = {"milvus-lite": milvus_lite, "milvus-server": milvus_server}

COLUMNS = {
    "fiftyone-sklearn": partial(sklearn, "fiftyone-sklearn", Use()),
    **{
        (label := f"fiftyone-{store}{way}"): partial(opened, label, use)
        for store, opened in _STORES.items()
        for way, use in _USES.items()
    },
}
"""By label, in the order of the page."""
