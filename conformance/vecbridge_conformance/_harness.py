"""The harness of a test: the store under test, and fresh indexes in it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import vecbridge
from vecbridge import (
    CONSISTENCY_LEVELS,
    Capabilities,
    Consistency,
    FieldType,
    Index,
    Metric,
    VectorIndex,
)
from vecbridge_conformance._deployment import Deployment
from vecbridge_conformance._pool import IndexPool, Schema
from vecbridge_conformance._process import OtherProcess
from vecbridge_conformance._recorder import Recorder
from vecbridge_conformance._wire import Wire


@dataclass(frozen=True)
class Effort:
    """How much the tests that take long do.

    Attributes:
        history_s: seconds for which the processes of a history write and read.
        convergence_s: seconds after which a weaker read must see every write.
        recall_records: records of the index whose recall is measured.
        recall_queries: how many queries measure it.
        slow_from_s: seconds from which on making an index counts as slow: it is used again then.
        kept_indexes: how many indexes are kept to be used again. Stores have ceilings: a
            standalone Milvus 2.3 refuses the 65th collection that is loaded.
        pace_s: seconds that an index with a few reads and writes counts as taking, whatever it
            takes. The run then asks the same of a store however fast that is, so that what it
            asks can be recorded and asked again.
    """

    history_s: float = 2.0
    convergence_s: float = 60.0
    recall_records: int = 5000
    recall_queries: int = 300
    slow_from_s: float = 0.25
    kept_indexes: int = 32
    pace_s: float | None = None


class Harness:
    """A deployment in use.

    Args:
        deployment: what is under test.
        effort: how much its long tests do.

    Attributes:
        deployment: the same.
        effort: the same.
        recorder: what was done to the indexes of this test, for the reproducer of a failure.
    """

    def __init__(self, deployment: Deployment, effort: Effort | None = None) -> None:
        self.deployment = deployment
        self.effort = effort or Effort()
        self.recorder = Recorder(deployment)
        self._lent: dict[str, tuple[Schema, Index]] = {}
        self._connections: dict[str, vecbridge.Store] = {}
        self._folders = ExitStack()
        self._opened = ExitStack()

    def __enter__(self) -> Harness:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def store(self) -> vecbridge.Store:
        """Return the store under test, opened on first use.

        What is opened over it is closed at the end of the test.
        """
        return self.recorder.store(self._store)

    @cached_property
    def capabilities(self) -> Capabilities:
        """Return what a live index of the deployment declares."""
        schema, probe = self._probe()
        declared = probe.capabilities
        self._indexes.give_back(schema, probe.info.name, probe)
        return declared

    @property
    def strongest(self) -> Consistency:
        """Return the strongest level that the store offers."""
        offered = self.capabilities.consistency
        return next(level for level in CONSISTENCY_LEVELS if level in offered)

    def index(
        self,
        *,
        dimension: int = 4,
        metric: Metric = "cosine",
        fields: Mapping[str, FieldType] | None = None,
        consistency: Consistency | None = None,
    ) -> Index:
        """Return an empty index that nothing else uses; it goes at the end of the test.

        Its reads see what this process wrote, unless another level is asked for: a test that
        looks at what other processes write asks for :attr:`strongest`.
        """
        return self.recorder.index(self._take(dimension, metric, fields, consistency))

    def engine(
        self,
        *,
        dimension: int = 4,
        metric: Metric = "cosine",
        fields: Mapping[str, FieldType] | None = None,
        consistency: Consistency | None = None,
    ) -> VectorIndex:
        """Return the engine of an empty index, without the client layer before it."""
        return self.recorder.engine(self._take(dimension, metric, fields, consistency))

    def release(self, index: Index | VectorIndex) -> None:
        """Give an index back before the end of the test, for tests that use many."""
        name = index.info.name
        lent = self._lent.pop(name, None)
        if lent is not None:
            schema, engine = lent
            self._indexes.give_back(schema, name, engine, self.recorder.written(name))
        self._disconnect(name)

    def reopen(self, index: Index) -> Index:
        """Close an index and open it again over a new connection.

        The connection ends when the index is opened once more or given back: servers admit few.
        """
        name = index.info.name
        index.close()
        self._disconnect(name)
        connection = self._connections[name] = self.deployment.open()
        again = connection.open_index(name)
        schema, _ = self._lent[name]
        self._lent[name] = schema, again
        return self.recorder.reopened(again.engine)

    def settle(self, index: Index) -> None:
        """Wait until searches go by the index of the store, and not past it.

        A server may search fresh records one by one, whatever index they are to have. An engine
        that knows when that is over has a method ``settle()``, which returns then.
        """
        wait: Callable[[], None] | None = getattr(index.engine, "settle", None)
        if wait is not None:
            wait()

    def other_process(
        self, function: Callable[..., Any], index: Index | VectorIndex, *arguments: Any
    ) -> Any:
        """Return ``function(backend, options, index_name, *arguments)`` of a fresh process."""
        return self.start_process(function, index, *arguments).result()

    def start_process(
        self, function: Callable[..., Any], index: Index | VectorIndex, *arguments: Any
    ) -> OtherProcess:
        """Start what :meth:`other_process` waits for."""
        name = index.info.name
        return OtherProcess(
            function, self.deployment.backend, dict(self.deployment.options), name, *arguments
        )

    @contextmanager
    def through_wire(self, timeout: float) -> Iterator[tuple[Wire, vecbridge.Store] | None]:
        """Yield a proxy before the server, and the store through it; ``None`` without a server.

        Args:
            timeout: seconds that the store waits, where the backend has such a setting.
        """
        address = self.deployment.address()
        if address is None:
            yield None
            return
        with Wire(*address) as wire:
            there = self.deployment.moved(wire.port, timeout=timeout, label="through a proxy")
            assert there is not None  # noqa: S101  (it has an address)
            with there.open() as store:
                yield wire, store

    def folder(self) -> Path:
        """Return an empty folder, which goes with all that is in it at the end of the test."""
        made = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
        return Path(self._folders.enter_context(made))

    def end_test(self) -> None:
        """Give back every index of the test, and close its further connections."""
        lent, self._lent = self._lent, {}
        for name, (schema, index) in lent.items():
            self._indexes.give_back(schema, name, index, self.recorder.written(name))
        for name in list(self._connections):
            self._disconnect(name)
        self._folders.close()
        self.recorder.clear()

    def close(self) -> None:
        """Drop every index that was made, and close the store."""
        self.end_test()
        self._opened.close()

    def _take(
        self,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType] | None,
        consistency: Consistency | None,
    ) -> VectorIndex:
        # Session reads are answered at once where strong ones wait; the layers of histories and
        # scale ask for strong ones.
        own = "session" if "session" in self.capabilities.consistency else self.strongest
        level = consistency or own
        schema = Schema(dimension, metric, tuple((fields or {}).items()), level)
        taken = self._indexes.take(schema)
        self._lent[taken.info.name] = schema, taken
        return taken.engine

    def _probe(self) -> tuple[Schema, Index]:
        """Return an index to ask for capabilities: a strong one where that can be made."""
        strong = Schema(4, "euclidean", (), "strong")
        with suppress(vecbridge.VecbridgeError):
            return strong, self._indexes.take(strong)
        own = strong._replace(consistency=None)
        return own, self._indexes.take(own)

    def _disconnect(self, name: str) -> None:
        if name in self._connections:
            self._connections.pop(name).close()

    @cached_property
    def _indexes(self) -> IndexPool:
        effort = self.effort
        pool = IndexPool(self._store, effort.slow_from_s, effort.kept_indexes, effort.pace_s)
        self._opened.callback(pool.close)
        return pool

    @cached_property
    def _store(self) -> vecbridge.Store:
        return self._opened.enter_context(self.deployment.open())
