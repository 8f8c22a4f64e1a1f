"""FiftyOne's backends as a :class:`vecbridge.Backend`. What it keeps in MongoDB is kept here."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any, ClassVar

from tests.neighbours._index import NeighbourIndex, Use
from tests.neighbours._makers import Make
from vecbridge import (
    Capabilities,
    ClosedError,
    Consistency,
    FieldType,
    IndexExistsError,
    IndexInfo,
    IndexNotFoundError,
    Metric,
    UnsupportedError,
)
from vecbridge.settings import Settings

Known = dict[str, tuple[IndexInfo, Any, dict[str, str]]]
"""What FiftyOne keeps of each index: what it is, its object, and the ids of the dataset."""


class NeighbourBackend:
    """A backend of FiftyOne's.

    Args:
        make: how its index object is made.
        known: the indexes that there are; shared by all connections to the same store.
        metrics: the metrics that it takes.
        lasting: whether the records are in a store, and not in the object.
        use: how its indexes are used.
        packages: whose versions matter.
    """

    settings_type: ClassVar[type[Any]] = Settings
    name: ClassVar[str] = "neighbour"

    def __init__(
        self,
        make: Make,
        known: Known,
        *,
        metrics: tuple[Metric, ...] = ("cosine", "dotproduct", "euclidean"),
        max_k: int | None = None,
        lasting: bool,
        use: Use,
        packages: tuple[str, ...],
    ) -> None:
        self._make = make
        self._known = known
        self._metrics = metrics
        self._lasting = lasting
        self._use = use
        self._packages = packages
        self._closed = False
        self._opened: list[NeighbourIndex] = []
        self._capabilities = Capabilities(
            exact=False,
            recall=None,
            range_search=False,
            farthest=False,
            partitions=False,
            max_dimension=32768,
            max_k=max_k,
            max_within=None,
            max_batch_bytes=None,
            field_types=frozenset(),
            filters=frozenset(),
            filters_except=frozenset(),
            consistency=frozenset({"strong"}),
            durable=lasting,
            shared=False,
        )

    def versions(self) -> dict[str, str]:
        """Versions of what the backend stands on."""
        return {name: metadata.version(name) for name in self._packages}

    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency | None,
    ) -> NeighbourIndex:
        """Make an index; nothing is in the store before the first record."""
        self._check_open("create_index")
        if fields:
            raise UnsupportedError("there are no fields of one's own", capability="fields")
        if metric not in self._metrics:
            raise UnsupportedError(f"not offered: the metric {metric}", capability="metric")
        if name in self._known:
            raise IndexExistsError(f"there is an index {name!r} already")
        info = IndexInfo(name, dimension, metric, {}, consistency or "strong")
        self._known[name] = info, self._make(info), {}
        return self.open_index(name)

    def open_index(self, name: str) -> NeighbourIndex:
        """Open an index; their object is made again where the records are in a store."""
        self._check_open("open_index")
        if name not in self._known:
            raise IndexNotFoundError(f"there is no index {name!r}")
        info, theirs, written = self._known[name]
        theirs = self._make(info) if self._lasting else theirs
        index = NeighbourIndex(
            info, theirs, self._capabilities, self._use, written, lambda: name in self._known
        )
        self._opened.append(index)
        return index

    def index_names(self) -> list[str]:
        """Names, sorted."""
        self._check_open("index_names")
        return sorted(self._known)

    def drop_index(self, name: str) -> None:
        """``cleanup`` of their index."""
        self._check_open("drop_index")
        if name not in self._known:
            raise IndexNotFoundError(f"there is no index {name!r}")
        info, theirs, _ = self._known.pop(name)
        if self._lasting:
            theirs = self._make(info)
        if theirs.total_index_size:
            theirs.cleanup()

    def close(self) -> None:
        """Closes what was opened."""
        self._closed = True
        for index in self._opened:
            index.close()

    def _check_open(self, operation: str) -> None:
        if self._closed:
            raise ClosedError("the store was closed", backend=self.name, operation=operation)
