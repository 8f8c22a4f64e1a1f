"""The expressions that an index sends, read off the wire."""

from __future__ import annotations

import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress

import numpy as np

from tests.servers.milvus_wire import Wire
from vecbridge import BackendError, FieldType, Filter, Scalar, Scope, Store
from vecbridge.filters import settle
from vecbridge_milvus import MilvusIndex

_EMPTY: dict[FieldType, Scalar] = {"string": "", "integer": 0, "float": 0.0, "boolean": False}


class Written:
    """What one index writes.

    Args:
        wire: the server.
        store: a store on it.
        fields: of the index.
    """

    def __init__(self, wire: Wire, store: Store, fields: Mapping[str, FieldType]) -> None:
        self._wire = wire
        self._fields = fields
        index = store.create_index(
            f"t_{uuid.uuid4().hex}", dimension=2, metric="euclidean", fields=dict(fields)
        )
        assert isinstance(index.engine, MilvusIndex)
        self._engine = index.engine
        self._vectors = np.ones((1, 2), np.float32)
        self._put_before: list[str] = []

    def filter(self, where: Filter) -> str:
        """The expression of a filter that is not decided without the server."""
        settled = settle(where, self._fields)
        assert not isinstance(settled, bool)
        return self.settled(settled)

    def settled(self, where: Filter, within: Sequence[str] | None = None) -> str:
        """The expression of a settled filter, and of a list of ids beside it."""
        self._wire.clear()
        # Whatever the server would make of it.
        self._wire.fail("Search", (1100, "invalid parameter"))
        with suppress(BackendError):
            self._engine.search(self._vectors, 1, Scope(within, where, "eventual"))
        return str(self._wire.requests("Search")[0].dsl)

    def keys(self, ids: Sequence[str]) -> str:
        """The records of ids."""
        self._wire.clear()
        self._wire.fail("Query", (1100, "invalid parameter"))
        with suppress(BackendError):
            self._engine.contains(ids, consistency="eventual")
        return self._queries()[0]

    def after(self, name: str) -> str:
        """The records whose ids come after an id: the second page of a scan."""
        self._put(name)
        with suppress(BackendError):
            list(self._engine.scan(1, Scope(consistency="eventual"), None, vectors=True))
        return self._queries()[1]

    def until(self, name: str) -> str:
        """The records whose ids do not come after an id: where keys are looked for twice."""
        self._put(name)
        with suppress(BackendError):
            self._engine.mend_duplicates()
        return next(text for text in self._queries() if "<=" in text)

    def _put(self, name: str) -> None:
        """Make an id the only one."""
        self._engine.delete(self._put_before)
        self._put_before = [name]
        fields = {each: [_EMPTY[kind]] for each, kind in self._fields.items()}
        self._engine.upsert([name], self._vectors, fields)
        self._wire.clear()

    def _queries(self) -> list[str]:
        return [str(request.expr) for request in self._wire.requests("Query")]
