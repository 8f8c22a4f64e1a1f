"""``Store``: what callers use of a backend; it hands out ``Index``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from types import TracebackType
from typing import Any

from vecbridge._client import _validate as validate
from vecbridge._client._checked import Budgets
from vecbridge._client._index import Index
from vecbridge._client._operation import Lifetime, traced
from vecbridge._contract._consistency import Consistency, parse_consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric, parse_metric
from vecbridge._contract._protocols import Backend, VectorIndex
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import ClosedError, IndexExistsError, SchemaMismatchError, UnsupportedError
from vecbridge.locks import reentrant_lock


class Store:
    """A configured store, as :func:`vecbridge.get_backend` returns it. Connects on first use.

    A store can be pickled unless it is in memory. The pickle holds its configuration, without
    secrets; the unpickled store connects on first use. The receiving process reads secrets from its
    own environment or ``brain_config.json``; if they are missing there, the first call raises an
    error that says so.

    Args:
        backend: the store's implementation.
        metric: metric of new indexes that are created without one.
        consistency: default level of new indexes that are created without one.
        budgets: limits on what one read of its indexes may take at a time.
        origin: recreates the backend in another process; a store without one cannot be pickled.
        single_writer: whether processes that write to it at the same time only wait for each other.

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
        origin: Callable[[], Backend] | None = None,
        single_writer: bool = False,
    ) -> None:
        self._single_writer = single_writer
        self._made: Backend | None = backend
        self._making = reentrant_lock()
        self._origin = origin
        self._budgets = budgets
        self._metric: Metric = metric
        self._consistency: Consistency | None = consistency
        self._lifetime = Lifetime(backend.name)

    def __getstate__(self) -> dict[str, Any]:
        if self._origin is None:
            raise UnsupportedError(
                f"this store of {self.name!r} cannot be pickled or copied: its records are in this "
                f"process alone, or it was made from an object. A store from get_backend(), with "
                f"a place that the other process can open, can be pickled",
                capability="shared",
            )
        return {**vars(self), "_made": None, "_making": None, "_lifetime": self.name}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _making=reentrant_lock(), _lifetime=Lifetime(state["_lifetime"]))

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
        return self._lifetime.backend

    @property
    def single_writer(self) -> bool:
        """Whether processes that write at once only wait for each other, as for one file."""
        return self._single_writer

    @property
    def backend(self) -> Backend:
        """The store's own object, for features that only that store has."""
        return self._made or self._made_here()

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
        """Create an empty index.

        Args:
            name: a letter or underscore, then letters, digits and underscores; at most 255
                characters.
            dimension: length of its vectors, 1 to 32768.
            metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``; the configured one, or
                cosine, by default.
            fields: name and type of each field: ``"string"``, ``"integer"``, ``"float"``,
                ``"boolean"``, ``"timestamp"`` or ``"strings"``. Every record has a value for each,
                unless the type ends with ``?``.
            consistency: level of reads that do not name one; the store's default if left out.

        Raises:
            InvalidArgumentError: an argument is unusable.
            IndexExistsError: the name is taken.
        """
        wanted = self._consistency if consistency is None else parse_consistency(consistency)
        engine = self.backend.create_index(
            validate.index_name(name),
            dimension=validate.dimension(dimension),
            metric=self._metric if metric is None else parse_metric(metric),
            fields=validate.field_types(fields),
            consistency=wanted,
        )
        return _Opened(engine, self, budgets=self._budgets)

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
            dimension: the dimension that it must have, if given.
            metric: the metric that it must have, if given.
            consistency: level of reads that do not name one; by default, the one that the index was
                created with.

        Raises:
            IndexNotFoundError: there is no index of that name.
            SchemaMismatchError: it has another dimension or metric.
        """
        expected = None if metric is None else parse_metric(metric)
        length = None if dimension is None else validate.dimension(dimension)
        level = None if consistency is None else parse_consistency(consistency)
        engine = self.backend.open_index(validate.index_name(name))
        try:
            _check_schema(engine.info, length, expected)
        except SchemaMismatchError:
            engine.close()
            raise
        return _Opened(engine, self, consistency=level, budgets=self._budgets)

    def open_or_create_index(
        self,
        name: str,
        *,
        dimension: int,
        metric: Metric | None = None,
        fields: Mapping[str, FieldType] | None = None,
        consistency: Consistency | None = None,
    ) -> Index:
        """Open an index, or create it if it does not exist.

        Args:
            name: its name.
            dimension: the dimension that it has, or is created with.
            metric: the metric that it has, or is created with; by default the configured one, or
                cosine.
            fields: the fields that it has, or is created with; by default those of an existing
                index, and none in a new one.
            consistency: level of reads that do not name one.

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
            f"index {name!r}: expected the fields {declared}; the index has {found}. Open it "
            f"as it is, or make another index"
        )

    @traced
    def index_names(self) -> list[str]:
        """Return the names of the indexes, sorted."""
        return self.backend.index_names()

    @traced
    def drop_index(self, name: str) -> None:
        """Remove an index and its records.

        Raises:
            IndexNotFoundError: there is no index of that name.
        """
        self.backend.drop_index(validate.index_name(name))

    def close(self) -> None:
        """Close the connection and every index opened over it. Can be called more than once."""
        self._lifetime.end()
        if self._made is not None:
            self._made.close()

    def _made_here(self) -> Backend:
        # At the first use of a store that was unpickled, and not before: an error while a worker
        # unpickles what it is to do would end the worker without a word.
        with self._making:
            if self._made is not None:
                return self._made
            if self._origin is None or self._lifetime.ended:
                raise ClosedError(
                    f"this store was closed; get another one from "
                    f"vecbridge.get_backend({self.name!r}, ...)",
                    backend=self.name,
                    operation="connect",
                )
            self._made = self._origin()
            return self._made

    def _span_attributes(self) -> dict[str, str | int]:
        return {"db.system.name": self.name}


class _Opened(Index):
    """An index that is closed with its store, and opened again where it arrives with its store."""

    def __init__(
        self,
        engine: VectorIndex,
        store: Store,
        *,
        consistency: Consistency | None = None,
        budgets: Budgets | None = None,
    ) -> None:
        super().__init__(engine, consistency=consistency, budgets=budgets)
        self._store = store
        self._lifetime = Lifetime(store.name, over=store._lifetime)  # noqa: SLF001 - it ends with it

    def __getstate__(self) -> dict[str, Any]:
        if "_engine" not in vars(self):
            return {"_store": self._store, "_asked": self._asked}
        info, can = self._engine.info, self._engine.capabilities
        if not (can.shared or can.durable):
            raise UnsupportedError(
                f"index {info.name!r} cannot be pickled or copied: its records are in this process "
                f"alone. Keep them in a store that the other process can open, or send the records",
                capability="shared",
            )
        asked = {
            "name": info.name,
            "dimension": info.dimension,
            "metric": info.metric,
            "consistency": self._consistency,
        }
        return {"_store": self._store, "_asked": asked}

    def __setstate__(self, state: dict[str, Any]) -> None:
        store: Store = state["_store"]
        lifetime = Lifetime(store.name, over=store._lifetime)  # noqa: SLF001 - as above
        vars(self).update(state, _lifetime=lifetime, _opening=reentrant_lock())

    def __getattr__(self, name: str) -> Any:
        # Before the first use of an index that was unpickled; see Store.backend.
        if name not in {"_engine", "_checked", "_consistency"}:
            raise AttributeError(f"an index has no attribute {name!r}", name=name, obj=self)
        with self._opening:
            if name not in vars(self):
                opened = self._store.open_index(**self._asked)
                vars(self).update(vars(opened), _lifetime=self._lifetime)
        return vars(self)[name]

    def close(self) -> None:
        """Release what this index alone holds. Can be called more than once."""
        if "_engine" in vars(self):
            super().close()
        self._lifetime.end()


def store_of(index: Index) -> Store | None:
    """Return the store that an index was opened over; ``None`` for one made from an object."""
    return index._store if isinstance(index, _Opened) else None  # noqa: SLF001 - of this module


def origin_of(store: Store) -> Callable[[], Backend] | None:
    """Return what makes the backend of a store again; ``None`` for one made from an object."""
    return store._origin  # noqa: SLF001 - of this module


def store_like(store: Store, backend: Backend) -> Store:
    """Return a store of another backend, with the same defaults."""
    return Store(
        backend,
        metric=store._metric,  # noqa: SLF001 - of this module
        consistency=store._consistency,  # noqa: SLF001
        budgets=store._budgets,  # noqa: SLF001
    )


def _check_schema(info: IndexInfo, dimension: int | None, metric: Metric | None) -> None:
    wrong = []
    if dimension is not None and info.dimension != dimension:
        wrong.append(f"expected dimension {dimension}; the index has {info.dimension}")
    if metric is not None and info.metric != metric:
        wrong.append(f"expected metric {metric}; the index has {info.metric}")
    if wrong:
        raise SchemaMismatchError(
            f"index {info.name!r}: {'; '.join(wrong)}. Open it as it is, or make another index"
        )
