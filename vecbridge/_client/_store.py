"""``Store``: what callers use of a backend; it hands out ``Index``."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from types import TracebackType

from vecbridge._client import _validate as validate
from vecbridge._client._budgets import Budgets
from vecbridge._client._index import Index
from vecbridge._client._operation import Lifetime
from vecbridge._client._tracing import traced
from vecbridge._contract._consistency import Consistency, parse_consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric, parse_metric
from vecbridge._contract._protocols import Backend, VectorIndex
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import IndexExistsError, SchemaMismatchError


class Store:
    """A configured store, as :func:`vecbridge.get_backend` gives it. Connects on first use.

    Args:
        backend: the store's implementation.
        metric: metric of a new index where none is asked for.
        consistency: default level of a new index where none is asked for.
        budgets: how much a read of its indexes may take at a time.

    Example:
        >>> import vecbridge
        >>> with vecbridge.get_backend("sklearn") as store:
        ...     index = store.create_index("photos", dimension=3, metric="cosine")
        ...     store.index_names()
        ['photos']
    """

    def __init__(
        self,
        backend: Backend,
        *,
        metric: Metric = "cosine",
        consistency: Consistency | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        self._backend = backend
        self._budgets = budgets
        self._metric: Metric = metric
        self._consistency: Consistency | None = consistency
        self._lifetime = Lifetime(backend.name)

    def __repr__(self) -> str:
        return f"<Store {self.name!r}>"

    def __enter__(self) -> Store:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def name(self) -> str:
        """The backend's name."""
        return self._backend.name

    @property
    def backend(self) -> Backend:
        """The store's own object, for what only that store can do."""
        return self._backend

    @traced
    def create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric | None = None,
        fields: Mapping[str, FieldType] | None = None,
        consistency: Consistency | None = None,
    ) -> Index:
        """Make an empty index.

        Args:
            name: a letter or underscore, then letters, digits and underscores; at most 255.
            dimension: length of its vectors, 1 to 32768.
            metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``; the configured one, or
                cosine, by default.
            fields: name and type (``"string"``, ``"integer"``, ``"float"``, ``"boolean"``) of
                each scalar field that every record will carry.
            consistency: what a read sees that asks for no level; the store's default otherwise.

        Raises:
            InvalidArgumentError: an argument is unusable.
            IndexExistsError: the name is taken.
        """
        wanted = self._consistency if consistency is None else parse_consistency(consistency)
        engine = self._backend.create_index(
            validate.index_name(name),
            dimension=validate.dimension(dimension),
            metric=self._metric if metric is None else parse_metric(metric),
            fields=validate.field_types(fields),
            consistency=wanted,
        )
        return _Opened(engine, self._lifetime, budgets=self._budgets)

    @traced
    def open_index(
        self,
        name: str,
        *,
        dimension: int | None = None,
        metric: Metric | None = None,
        consistency: Consistency | None = None,
    ) -> Index:
        """Open an existing index.

        Args:
            name: its name.
            dimension: the length of vectors that it must have, if that matters.
            metric: the metric that it must have, if that matters.
            consistency: what a read sees that asks for no level; otherwise what the index was
                created with.

        Raises:
            IndexNotFoundError: there is none of that name.
            SchemaMismatchError: it has another dimension or metric.
        """
        expected = None if metric is None else parse_metric(metric)
        length = None if dimension is None else validate.dimension(dimension)
        level = None if consistency is None else parse_consistency(consistency)
        engine = self._backend.open_index(validate.index_name(name))
        try:
            _check_schema(engine.info, length, expected)
        except SchemaMismatchError:
            engine.close()
            raise
        return _Opened(engine, self._lifetime, consistency=level, budgets=self._budgets)

    def open_or_create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric | None = None,
        fields: Mapping[str, FieldType] | None = None,
        consistency: Consistency | None = None,
    ) -> Index:
        """Open an index, or make it where there is none.

        Args:
            name: its name.
            dimension: the length of vectors that it has or gets.
            metric: the metric that it has or gets; the configured one, or cosine, by default.
            fields: the fields that it has or gets; by default those of an existing index, and none
                in a new one.
            consistency: what a read sees that asks for no level.

        Raises:
            SchemaMismatchError: it exists with another dimension, metric or set of fields.
        """
        wanted: Metric = self._metric if metric is None else metric
        declared = None if fields is None else validate.field_types(fields)
        if name not in self.index_names():
            # Another process may make it in between.
            with suppress(IndexExistsError):
                return self.create_index(
                    name,
                    dimension=dimension,
                    metric=wanted,
                    fields=declared,
                    consistency=consistency,
                )
        index = self.open_index(name, dimension=dimension, metric=wanted, consistency=consistency)
        found = dict(index.info.fields)
        if declared is None or declared == found:
            return index
        index.close()
        raise SchemaMismatchError(
            f"index {name!r}: the fields {declared} were asked for, the index has {found}. Open it "
            f"as it is, or make another index"
        )

    @traced
    def index_names(self) -> list[str]:
        """Return the names of the indexes, sorted."""
        return self._backend.index_names()

    @traced
    def drop_index(self, name: str) -> None:
        """Remove an index and its records.

        Raises:
            IndexNotFoundError: there is none of that name.
        """
        self._backend.drop_index(validate.index_name(name))

    def close(self) -> None:
        """Close the connection and every index opened over it. May be called twice."""
        self._lifetime.end()
        self._backend.close()

    def _span_attributes(self) -> dict[str, str | int]:
        return {"db.system.name": self.name}


class _Opened(Index):
    """An index that is closed with its store."""

    def __init__(
        self,
        engine: VectorIndex,
        store: Lifetime,
        *,
        consistency: Consistency | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        super().__init__(engine, consistency=consistency, budgets=budgets)
        self._lifetime = Lifetime(store.backend, over=store)


def _check_schema(info: IndexInfo, dimension: int | None, metric: Metric | None) -> None:
    wrong = []
    if dimension is not None and info.dimension != dimension:
        wrong.append(f"dimension {dimension} was asked for, the index has {info.dimension}")
    if metric is not None and info.metric != metric:
        wrong.append(f"metric {metric} was asked for, the index has {info.metric}")
    if wrong:
        raise SchemaMismatchError(
            f"index {info.name!r}: {'; '.join(wrong)}. Open it as it is, or make another index"
        )
