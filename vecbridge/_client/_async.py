"""``AsyncStore`` and ``AsyncIndex``: the methods of ``Store`` and ``Index``, awaited.

No method is written down twice. One line each makes a coroutine function, or an asynchronous
iterator, of the method with its arguments, types and documentation.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, TypeVar

from vecbridge._client._index import Index
from vecbridge._client._store import Store
from vecbridge._client._threads import Steps, Threads
from vecbridge._client._validate import positive
from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._protocols import Backend, VectorIndex
from vecbridge._contract._records import IndexInfo

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Callable[..., Any])

_END: Any = object()


class _Awaited:
    """What both classes are made of."""

    _plain: Any
    _threads: Threads

    def __repr__(self) -> str:
        return repr(self._plain).replace("<", "<Async", 1)

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    async def close(self) -> None:
        raise NotImplementedError


def _reads(
    method: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[_Awaited, P], Coroutine[Any, Any, R]]:
    async def read(self: _Awaited, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._threads.read(functools.partial(method, self._plain, *args, **kwargs))

    return _like(method, read)


def _writes(
    method: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[_Awaited, P], Coroutine[Any, Any, R]]:
    async def write(self: _Awaited, /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self._threads.write(functools.partial(method, self._plain, *args, **kwargs))

    return _like(method, write)


def _iterates(
    method: Callable[Concatenate[Any, P], Iterator[R]],
) -> Callable[Concatenate[_Awaited, P], AsyncGenerator[R, None]]:
    async def iterate(
        self: _Awaited, /, *args: P.args, **kwargs: P.kwargs
    ) -> AsyncGenerator[R, None]:
        call = functools.partial(method, self._plain, *args, **kwargs)
        steps = Steps(await self._threads.read(call))
        try:
            while (answer := await self._threads.read(lambda: next(steps, _END))) is not _END:
                yield answer
        finally:
            self._threads.finish(steps)

    return _like(method, iterate, "Async")


def _opens(
    method: Callable[Concatenate[Any, P], Index],
) -> Callable[Concatenate[AsyncStore, P], Coroutine[Any, Any, AsyncIndex]]:
    async def opened(self: AsyncStore, /, *args: P.args, **kwargs: P.kwargs) -> AsyncIndex:
        call = functools.partial(method, self._plain, *args, **kwargs)
        threads = self._threads
        wait = threads.read if method is Store.open_index else threads.write
        return AsyncIndex(await wait(call, Index.close), self)

    return _like(method, opened, "Async")


def _like(method: Callable[..., Any], made: C, kind: str = "") -> C:
    """Give a function the name, the documentation and the signature of a method."""
    signature = inspect.signature(method)
    answer = f"{kind}{signature.return_annotation}"
    functools.update_wrapper(made, method)
    made.__signature__ = signature.replace(return_annotation=answer)  # type: ignore[attr-defined]
    made.__annotations__ = {**made.__annotations__, "return": answer}
    return made


class AsyncStore(_Awaited):
    """A :class:`vecbridge.Store` whose methods are awaited: they run in threads of its own.

    The event loop never waits for the store. Several reads run at a time; writes run one at a time,
    in the order in which they were called. A call that has not begun when its await is cancelled is
    never made. A call that has begun runs to its end, and the await of a write lasts until then.
    :meth:`close` refuses calls that have not begun, and waits for the others.

    Args:
        store: the store, as :func:`vecbridge.get_backend` returns it.
        readers: how many reads run at a time. A store in this process gains nothing from more
            readers than there are cores; a server answers as many as it has capacity for.

    Example:
        >>> import asyncio, vecbridge
        >>> async def main():
        ...     async with vecbridge.AsyncStore(vecbridge.get_backend("sklearn")) as store:
        ...         index = await store.create_index("points", dimension=2, metric="euclidean")
        ...         await index.upsert(["origin", "far"], [[0, 0], [3, 4]])
        ...         return await index.search([0, 0], k=1)
        >>> asyncio.run(main())
        [Hits(ids=('origin',), distances=array([0.]), exact=True)]
    """

    def __init__(self, store: Store, *, readers: int = 4) -> None:
        self._plain: Store = store
        self._threads = Threads(positive(readers, "readers"))

    def __reduce__(self) -> tuple[Any, ...]:
        return _store_again, (self._plain, self._threads.readers)

    async def __aenter__(self) -> AsyncStore:
        return self

    @property
    def store(self) -> Store:
        """The same store, for blocking calls."""
        return self._plain

    @property
    def name(self) -> str:
        """The backend's name."""
        return self._plain.name

    @property
    def single_writer(self) -> bool:
        """Whether processes that write at once only wait for each other, as for one file."""
        return self._plain.single_writer

    @property
    def backend(self) -> Backend:
        """The store's own object, for features that only that store has."""
        return self._plain.backend

    create_index = _opens(Store.create_index)
    open_index = _opens(Store.open_index)
    open_or_create_index = _opens(Store.open_or_create_index)
    index_names = _reads(Store.index_names)
    drop_index = _writes(Store.drop_index)

    async def close(self) -> None:
        """Close the connection and every index opened over it. Can be called more than once."""
        self._plain._lifetime.end()  # noqa: SLF001 - what has not begun is refused from now on
        await self._threads.close(self._plain.close)


class AsyncIndex(_Awaited):
    """A :class:`vecbridge.Index` whose methods are awaited: they run in its store's threads.

    ``scan``, ``neighbors`` and ``neighbors_within`` are asynchronous iterators. A scan has no
    ``to_arrow()`` here: call that of :attr:`index` in a thread. A ``progress`` function is called
    in the thread that does the work. There is no ``len(index)``: await :meth:`count`.

    Args:
        index: the same index, for blocking calls.
        store: the store whose threads are used.
    """

    def __init__(self, index: Index, store: AsyncStore) -> None:
        self._plain: Index = index
        self._store = store
        self._threads = store._threads  # noqa: SLF001 - they are the store's, and shared

    def __reduce__(self) -> tuple[Any, ...]:
        return AsyncIndex, (self._plain, self._store)

    async def __aenter__(self) -> AsyncIndex:
        return self

    @property
    def index(self) -> Index:
        """The same index, for blocking calls."""
        return self._plain

    @property
    def engine(self) -> VectorIndex:
        """The store's own object, for features that only that store has."""
        return self._plain.engine

    @property
    def info(self) -> IndexInfo:
        """Name, dimension, metric, fields and default consistency."""
        return self._plain.info

    @property
    def capabilities(self) -> Capabilities:
        """Return what the live store can do."""
        return self._plain.capabilities

    upsert = _writes(Index.upsert)
    upsert_table = _writes(Index.upsert_table)
    delete = _writes(Index.delete)
    update_fields = _writes(Index.update_fields)
    fetch = _reads(Index.fetch)
    contains = _reads(Index.contains)
    count = _reads(Index.count)
    scan = _iterates(Index.scan)
    partitions = _reads(Index.partitions)
    search = _reads(Index.search)
    farthest = _reads(Index.farthest)
    search_aggregated = _reads(Index.search_aggregated)
    candidates = _reads(Index.candidates)
    range_search = _reads(Index.range_search)
    neighbors = _iterates(Index.neighbors)
    neighbors_within = _iterates(Index.neighbors_within)
    duplicates = _reads(Index.duplicates)

    async def close(self) -> None:
        """Release what this index alone holds. Can be called more than once."""
        await self._threads.write(self._plain.close)


def _store_again(store: Store, readers: int) -> AsyncStore:
    return AsyncStore(store, readers=readers)
