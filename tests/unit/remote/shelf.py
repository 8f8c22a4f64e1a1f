"""A store behind a client that computes in float32, in this process: what it loses, it loses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray
from pydantic import SecretStr

from vecbridge import (
    Capabilities,
    ConnectionFailedError,
    Fields,
    FieldType,
    IdRange,
    IndexInfo,
    Records,
    Scope,
)
from vecbridge.fields import FIELD_TYPES
from vecbridge.filters import FILTER_OPERATORS, matches
from vecbridge.ranking import ScoreForm
from vecbridge.remote import (
    NORM,
    Cause,
    Columns,
    ErrorTable,
    Nearest,
    Page,
    RemoteBackend,
    RemoteIndex,
    RemoteSettings,
    TooLargeError,
    id_bounds,
)

Row = tuple[NDArray[np.float32], float, dict[str, Any]]


@dataclass
class Server:
    """Where the records are.

    Attributes:
        form: how it gives scores.
        page: most records of a page, whatever is asked for.
        most_written: most records of one call of ``put``.
        exhaustive: whether a search can look at every record, whatever index there is.
        norms: whether records are found by their norms.
        indexes: the records of each index, by id.
        share: the share of the records that its approximate index looks at, with an effort of 1.
        failures: what the next calls raise, first one first.
        meanwhile: what another client does right after a search, given what that found.
    """

    form: ScoreForm = "distance"
    page: int = 1 << 20
    most_written: int = 1 << 20
    exhaustive: bool = True
    norms: bool = True
    share: float | None = None
    indexes: dict[str, tuple[IndexInfo, dict[str, Row]]] = field(default_factory=dict)
    failures: list[Exception] = field(default_factory=list)
    meanwhile: Callable[[Sequence[str]], None] | None = None


class Client:
    """Calls of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.open = True

    def call(self) -> Server:
        if self._server.failures:
            raise self._server.failures.pop(0)
        return self._server


class Shelf:
    """Implements ``vecbridge.remote.Collection``."""

    def __init__(self, info: IndexInfo, server: Server) -> None:
        self.info = info
        self.exhaustive = server.exhaustive
        self.form = server.form
        self._share = server.share
        self.efforts = [] if server.share is None else [1, 2, 4, 8]
        self.prepared: list[int] = []
        self.capabilities = Capabilities(
            exact=server.share is None,
            recall=None if server.share is None else 0.9,
            range_search=False,
            farthest=False,
            partitions=True,
            max_dimension=4096,
            max_k=None,
            max_within=100,
            max_batch_bytes=1 << 20,
            field_types=frozenset(FIELD_TYPES),
            filters=FILTER_OPERATORS,
            filters_except=frozenset(),
            consistency=frozenset({"strong"}),
            durable=False,
            shared=True,
        )

    def put(
        self,
        client: Client,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        rows = self._rows(client)
        if len(ids) > client.call().most_written:
            raise OverflowError("the message is too large")
        for row, name in enumerate(ids):
            values = {key: column[row] for key, column in fields.items()}
            rows[name] = vectors[row].copy(), float(norms[row]), values

    def remove(self, client: Client, ids: Sequence[str]) -> None:
        rows = self._rows(client)
        for name in ids:
            rows.pop(name, None)

    def get(self, client: Client, ids: Sequence[str], columns: Columns) -> Records:
        there = self._rows(client).keys() & set(ids)
        return self._records(client, sorted(there, reverse=True), columns)

    def count(self, client: Client, scope: Scope) -> int:
        return len(self._matching(client, scope))

    def page(
        self,
        client: Client,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: Any,
        columns: Columns,
    ) -> Page:
        compare = {">": str.__gt__, ">=": str.__ge__, "<": str.__lt__, "<=": str.__le__}
        bounds = id_bounds(ids, after)
        names = [
            name
            for name in sorted(self._matching(client, scope))
            if all(compare[word](name, bound) for word, bound in bounds)
        ]
        limit = min(limit, client.call().page)
        records = self._records(client, names[:limit], columns)
        return Page(records, names[limit - 1] if len(names) > limit else None)

    def cuts(self, client: Client, count: int) -> list[str]:
        names = sorted(self._rows(client))
        return [names[part * len(names) // count] for part in range(1, count) if names]

    def nearest(
        self,
        client: Client,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        assert effort is not None or self.exhaustive
        names = self._matching(client, scope)
        vectors = self._records(client, names, Columns(vectors=True)).vectors
        found = [self._ranked(query, names, vectors, limit, effort) for query in queries]
        meanwhile = client.call().meanwhile
        if meanwhile is not None:
            meanwhile(found[-1].ids)
        return found

    def sample(self, client: Client, count: int) -> NDArray[np.float32]:
        names = self._matching(client, Scope())
        chosen = np.random.default_rng(0).permutation(len(names))[:count]
        columns = Columns(vectors=True)
        return self._records(client, [names[row] for row in chosen], columns).vectors

    def prepare(self, client: Client, records: int) -> None:
        self.prepared.append(records)

    def _ranked(
        self,
        query: NDArray[np.float32],
        names: list[str],
        vectors: NDArray[np.float32],
        limit: int,
        effort: int | None,
    ) -> Nearest:
        with np.errstate(all="ignore"):
            products = vectors @ query
            scores = products
            if self.info.metric == "euclidean":
                scores = ((vectors - query) ** 2).sum(axis=1, dtype=np.float32)
            elif self.info.metric == "cosine":
                squares = (vectors**2).sum(axis=1, dtype=np.float32) * (query @ query)
                scores = products / np.sqrt(squares)
        keys = self._keys(scores)
        # As servers do: what is no number is dropped.
        found = np.flatnonzero(~np.isnan(keys))
        share = self._share
        if effort is not None and share is not None:
            seen = np.random.default_rng(len(names)).random(len(names)) < share * effort
            found = found[seen[found]]
        order = found[np.argsort(keys[found], kind="stable")][:limit]
        given = self._given(scores)[order].astype(np.float64)
        return Nearest(tuple(names[row] for row in order), given, vectors[order])

    def _keys(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        return scores if self.info.metric == "euclidean" else -scores

    def _given(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        one = np.float32(1.0)
        if self.info.metric == "euclidean":
            return scores if self.form == "squared" else np.sqrt(scores)
        if self.form == "similarity":
            return scores
        if self.form == "negative":
            return -scores
        return one - scores if self.info.metric == "cosine" or self.form == "one-minus" else -scores

    def _matching(self, client: Client, scope: Scope) -> list[str]:
        rows = self._rows(client)
        names = [name for name in rows if scope.within is None or name in set(scope.within)]
        if scope.where is None:
            return names
        columns: dict[str, list[Any]] = {
            key: [rows[name][2][key] for name in names] for key in self.info.fields
        }
        if client.call().norms:
            columns[NORM] = [rows[name][1] for name in names]
        accepted = matches(scope.where, columns, len(names))
        return [name for name, fits in zip(names, accepted, strict=True) if fits]

    def _records(self, client: Client, names: Sequence[str], columns: Columns) -> Records:
        rows = self._rows(client)
        width = self.info.dimension if columns.vectors else 0
        vectors = np.zeros((len(names), width), np.float32)
        if columns.vectors:
            for row, name in enumerate(names):
                vectors[row] = rows[name][0]
        fields = {key: [rows[name][2][key] for name in names] for key in columns.fields}
        return Records(tuple(names), vectors, fields)

    def _rows(self, client: Client) -> dict[str, Row]:
        return client.call().indexes[self.info.name][1]


class ShelfSettings(RemoteSettings):
    """Of a server in this process."""

    password: SecretStr | None = None


class Connector:
    """Makes clients of a server."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self.made: list[Client] = []

    def connect(self) -> Client:
        client = Client(self._server)
        client.call()
        self.made.append(client)
        return client

    def disconnect(self, client: Client) -> None:
        client.open = False

    def is_usable(self, client: Client) -> bool:
        return client.open


ERRORS = ErrorTable(
    "shelf",
    "Shelf",
    [
        Cause(match=ConnectionError, kind=ConnectionFailedError, retryable=True),
        Cause(match=OverflowError, kind=TooLargeError),
    ],
    packages=["shelf"],
)


class ShelfBackend(RemoteBackend[Client]):
    """Indexes on a server in this process."""

    name: ClassVar[str] = "shelf"
    settings_type: ClassVar[type[ShelfSettings]] = ShelfSettings
    field_types: ClassVar[frozenset[FieldType]] = frozenset(FIELD_TYPES)

    def __init__(self, server: Server, **options: Any) -> None:
        self.server = server
        settings = ShelfSettings(timeout=5, retry_timeout=5, **options)
        super().__init__(settings, ERRORS, place="here", clients=2)

    def connect(self) -> Client:
        return Connector(self.server).connect()

    @staticmethod
    def disconnect(client: Client) -> None:
        client.open = False

    def make(self, client: Client, info: IndexInfo) -> Shelf | None:
        if info.name in client.call().indexes:
            return None
        self.server.indexes[info.name] = info, {}
        return Shelf(info, self.server)

    def find(self, client: Client, name: str) -> Shelf | None:
        found = client.call().indexes.get(name)
        return None if found is None else Shelf(found[0], self.server)

    def names(self, client: Client) -> list[str]:
        return [*client.call().indexes]

    def remove(self, client: Client, name: str) -> bool:
        return client.call().indexes.pop(name, None) is not None

    def index_over(self, collection: Any) -> RemoteIndex[Client]:
        return RemoteIndex(
            self.link,
            collection,
            put_rows=50,
            ids_at_a_time=30,
            recall=0.9,
            norms=self.server.norms,
        )
