"""The stores of this process, one per configuration, and the index of a run in one of them.

Indexes with the same settings share a store: an in-memory store exists only here, and a Milvus
Lite file can be open only once.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Protocol

from vecbridge import Consistency, Index, IndexNotFoundError, Store, get_backend
from vecbridge._config._registry import configured
from vecbridge._config._sources import as_keywords
from vecbridge._contract._consistency import parse_consistency
from vecbridge._contract._metric import parse_metric
from vecbridge.locks import reentrant_lock
from vecbridge.settings import Settings

logger = logging.getLogger(__name__)

SAMPLE_ID = "sample_id"
"""The field of a record that holds the id of its sample."""

_stores: list[tuple[str, Settings, Store]] = []
_lock = reentrant_lock()
_closings = 0
_given: dict[tuple[str, str], dict[str, Any]] = {}
"""Settings that were given for an index. FiftyOne forgets a loaded run whenever it reloads its
dataset, and with it what the user had said."""


def resolved_settings(backend: str, options: Mapping[str, Any]) -> Settings:
    """Return the settings of a store; what is not given is read from where it is configured."""
    return configured(backend, as_keywords(dict(options)))[1].settings


def shared_store(backend: str, options: Mapping[str, Any]) -> Store:
    """Return the store with these settings, opened once in this process.

    Args:
        backend: name of the backend.
        options: settings; those that are left out are read from where they are configured.
    """
    wanted = resolved_settings(backend, options)
    with _lock:
        for name, settings, store in _stores:
            if name == backend and settings == wanted:
                return store
        made = get_backend(backend, **options)
        _stores.append((backend, wanted, made))
        return made


def remember(backend: str, index: str, settings: Mapping[str, Any]) -> None:
    """Keep, in this process, the settings with which an index was found."""
    if settings:
        _given[backend, index] = dict(settings)


def remembered(backend: str, index: str | None) -> dict[str, Any]:
    """Return the settings with which an index was found last."""
    return {} if index is None else _given.get((backend, index), {})


def close_stores() -> None:
    """Close every store that an index of this process uses.

    An index opens its store again when it is used next. The contents of in-memory stores are lost.
    """
    global _closings  # noqa: PLW0603  # one set of stores per process
    with _lock:
        closing, _stores[:] = list(_stores), []
        _closings += 1
    for _, _, store in closing:
        store.close()


class RunConfig(Protocol):
    """The part of a run's configuration that a resolver needs.

    Attributes:
        backend_name: the backend's name in vecbridge.
        collection_name: the index's name in the store; ``None`` until it has one.
        metric: of the index.
        consistency_level: the default level of reads; ``None`` for the store's own.
    """

    backend_name: str
    collection_name: str | None
    metric: str
    consistency_level: str | None

    @property
    def given(self) -> Mapping[str, Any]:
        """The settings of the store that were given."""
        ...

    def connect(self) -> Store:
        """Return the store."""
        ...

    def found(self) -> None:
        """Note that the settings lead to the index."""
        ...

    def lost_index_hint(self) -> str:
        """Return what a message adds where the store does not have the index of a stored run."""
        ...


class IndexResolver:
    """Find, make and drop the index of a run.

    The index is opened on first use, and again after :func:`close_stores`.

    Args:
        config: configuration of the run.
    """

    def __init__(self, config: RunConfig) -> None:
        self._config = config
        # Each is replaced as a whole: several threads may ask at once.
        self._index: tuple[int, Index] | None = None
        self._store: tuple[int, dict[str, Any], Store] | None = None
        self._reported = False

    @property
    def store(self) -> Store:
        """The store that the run's configuration names; looked up again when that has changed."""
        held, now = self._store, _closings
        if held is not None and held[:2] == (now, self._names()):
            return held[2]
        store = self._config.connect()
        self._store = now, self._names(), store
        return store

    def find(self) -> Index | None:
        """Return the index, or ``None`` if it does not exist.

        Raises:
            SchemaMismatchError: it exists with another metric.
        """
        if self._config.collection_name is None:
            return None
        # Compared with None, since the truth value of an index is a count, which asks the store.
        held, now = self._index, _closings
        if held is not None and held[0] == now:
            return held[1]
        try:
            index = self.store.open_index(
                self._config.collection_name,
                metric=parse_metric(self._config.metric),
                consistency=self._level(),
            )
        except IndexNotFoundError:
            self._index = None
            return None
        self._index = now, index
        self._config.found()
        return index

    def require(self) -> Index:
        """Return the index.

        Raises:
            IndexNotFoundError: it does not exist.
        """
        index = self.find()
        if index is None:
            raise IndexNotFoundError(
                f"the similarity index {self._config.collection_name!r} does not exist in backend "
                f"{self._config.backend_name!r}. Either nothing was added to it yet, or it was "
                f"deleted, or it was in another process's memory, or the settings lead to "
                f"another store than the one it was made in. Nothing else on the dataset is "
                f"affected: add embeddings with add_to_index(), pass the right settings to "
                f"load_brain_results(), or delete the run{self._config.lost_index_hint()}"
            )
        return index

    def report_lost(self) -> None:
        """Warn once where the index of a stored run is not in the file that its records were in."""
        hint = self._config.lost_index_hint()
        if hint and not self._reported:
            self._reported = True
            logger.warning(
                "The similarity index %r does not exist, so its size is 0%s",
                self._config.collection_name,
                hint,
            )

    def create(self, dimension: int) -> Index:
        """Create the index, with the field that holds sample ids."""
        now = _closings
        index = self.store.create_index(
            self._config.collection_name or "",
            dimension=dimension,
            metric=parse_metric(self._config.metric),
            fields={SAMPLE_ID: "string"},
            consistency=self._level(),
        )
        self._index = now, index
        self._config.found()
        return index

    def drop(self) -> None:
        """Drop the index, if it exists."""
        held, self._index = self._index, None
        if held is not None and held[0] == _closings:
            held[1].close()
        if self._config.collection_name is None:
            return
        try:
            self.store.drop_index(self._config.collection_name)
        except IndexNotFoundError:
            return

    def forget(self) -> None:
        """Let go of the open index, so that it is opened again."""
        self._index = None

    def _names(self) -> dict[str, Any]:
        return {"collection_name": self._config.collection_name, **self._config.given}

    def _level(self) -> Consistency | None:
        level = self._config.consistency_level
        return None if level is None else parse_consistency(level)
