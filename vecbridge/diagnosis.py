"""Find out what is wrong with a store, and how to fix it: :func:`diagnose`.

A backend that can report more than the contract's calls show has a method ``diagnose``, as
described by :class:`Diagnosable`.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol, get_args, runtime_checkable

import numpy as np

from vecbridge._client import Index, Store
from vecbridge._client._store import origin_of, store_like
from vecbridge._config._registry import store_of
from vecbridge._config._sources import Given, as_keywords
from vecbridge._contract._consistency import CONSISTENCY_LEVELS, Consistency
from vecbridge._contract._field_types import FieldType
from vecbridge._contract._metric import Metric
from vecbridge._errors import UnsupportedError, VecbridgeError

__all__ = ["Diagnosable", "Finding", "Status", "diagnose", "lags", "scratch_index"]

Status = Literal["ok", "warning", "failed"]
"""How a check ended."""

_SCRATCH = "vecbridge_scratch_"
_DIMENSION = 8
_LAG_SECONDS = 15.0
_LISTED = 20


@dataclass(frozen=True)
class Finding:
    """The result of one check.

    Attributes:
        check: what was checked, in a word or two.
        status: ``"ok"``, ``"warning"`` or ``"failed"``.
        found: what the check found. Holds no secret.
        advice: what to do about it; empty if there is nothing to do.
    """

    check: str
    status: Status
    found: str
    advice: str = ""

    def __post_init__(self) -> None:
        if self.status not in get_args(Status):
            raise ValueError(f"a status is one of {get_args(Status)}; got {self.status!r}")


@runtime_checkable
class Diagnosable(Protocol):
    """A backend that can report more about its store than the contract's calls show."""

    def diagnose(self) -> Iterator[Finding]:
        """Check the connection and what is stored; change nothing.

        May raise any :class:`vecbridge.VecbridgeError`, which ends the diagnosis with its message.
        """
        ...


def diagnose(name: str | None = None, *, write: bool = True, **options: Any) -> Iterator[Finding]:
    """Check a store the way an engineer would who has to find out why it does not work.

    Findings are yielded as they are made. A failed check ends the diagnosis if the following ones
    depend on it; nothing is raised.

    Args:
        name: the backend, as :func:`vecbridge.get_backend` takes it.
        write: also write to a small temporary index, read it back, and measure how late weak reads
            see a write. Otherwise nothing in the store is changed.
        options: settings of the backend.

    Example:
        >>> [finding.status for finding in diagnose("sklearn")]
        ['ok', 'ok', 'ok', 'ok']
    """
    return findings(name, as_keywords(options), write=write)


def findings(name: str | None, given: Mapping[str, Given], *, write: bool) -> Iterator[Finding]:
    """Yield what :func:`diagnose` does, from settings with their source."""
    try:
        store = store_of(name, given)
    except VecbridgeError as error:
        yield Finding("settings", "failed", str(error))
        return
    yield Finding("settings", "ok", f"backend {store.name!r}")
    with store:
        try:
            yield from _contents(store)
            if write:
                yield from _written(store)
        except VecbridgeError as error:
            yield Finding("store", "failed", str(error))


def _contents(store: Store) -> Iterator[Finding]:
    if isinstance(store.backend, Diagnosable):
        yield from store.backend.diagnose()
        return
    started = time.perf_counter()
    names = store.index_names()
    answered = 1000 * (time.perf_counter() - started)
    counted = f"{len(names)} index{'' if len(names) == 1 else 'es'}"
    yield Finding("store", "ok", f"answers in {answered:.0f} ms; {counted}")
    for name in names[:_LISTED]:
        with store.open_index(name) as index:
            info = index.info
            found = f"{index.count():,} records, {info.dimension} dimensions, {info.metric}"
            yield Finding(f"index {name}", "ok", found)


def _written(store: Store) -> Iterator[Finding]:
    with scratch_index(store) as index:
        yield _round_trip(index)
        yield _late(index)


@contextmanager
def scratch_index(
    store: Store,
    *,
    dimension: int = _DIMENSION,
    metric: Metric = "euclidean",
    fields: Mapping[str, FieldType] | None = None,
) -> Iterator[Index]:
    """Yield an empty index under an unused name, and drop it whatever happens.

    If the store is a folder on this machine that has no files yet, the index is in a folder beside
    it, which is then removed.

    Args:
        store: the store to create it in.
        dimension: as for :meth:`vecbridge.Store.create_index`.
        metric: metric of the index.
        fields: name and type of its fields.
    """
    name = f"{_SCRATCH}{uuid.uuid4().hex[:12]}"
    with (
        _with_files(store) as there,
        there.create_index(name, dimension=dimension, metric=metric, fields=fields) as index,
    ):
        try:
            yield index
        finally:
            there.drop_index(name)


def place_of_new(store: Store) -> Path | None:
    """Return the file or folder of a store on this machine that has no files yet."""
    # It imports pydantic, as a store that was configured has done.
    from vecbridge._config._origin import Origin

    origin = origin_of(store)
    return origin.empty_place if isinstance(origin, Origin) else None


@contextmanager
def _with_files(store: Store) -> Iterator[Store]:
    """Yield the store; or where it has no files yet, one beside it that is removed."""
    place = place_of_new(store)
    if place is None:
        yield store
        return
    origin: Any = origin_of(store)
    with origin.elsewhere(place) as backend, store_like(store, backend) as other:
        yield other


def _round_trip(index: Index) -> Finding:
    ids = ["first", "quoted ' \\ \"", "third"]
    vectors = np.eye(3, _DIMENSION, dtype=np.float32)
    started = time.perf_counter()
    index.upsert(ids, vectors)
    fetched = index.fetch(ids, consistency="strong")
    hits = index.search(vectors[0], 3, consistency="strong")[0]
    index.delete(ids[:1])
    left = index.count(consistency="strong")
    took = 1000 * (time.perf_counter() - started)
    seen = fetched.ids == tuple(ids) and np.array_equal(fetched.vectors, vectors)
    if seen and hits.ids[:1] == ("first",) and left == len(ids) - 1:
        return Finding("write and read", "ok", f"what is written comes back ({took:.0f} ms)")
    return Finding(
        "write and read",
        "failed",
        f"wrote 3 records; read {len(fetched.ids)} back, nearest {hits.ids[:1]}, {left} after one "
        f"was deleted",
        "the store breaks the contract: do not trust it; run `vecbridge conformance run` on it",
    )


def lags(index: Index) -> dict[Consistency, float | None]:
    """Measure how late a read at each level sees this process's own write.

    Args:
        index: an index to write to, such as one from :func:`scratch_index`.

    Returns:
        Milliseconds at each level that the store offers, strongest first; ``None`` if a write was
        not seen within 15 s, after which no weaker level is tried.
    """
    found: dict[Consistency, float | None] = {}
    for level in CONSISTENCY_LEVELS:
        try:
            found[level] = _lag(index, level)
        except UnsupportedError:
            continue
        if found[level] is None:
            break
    return found


def _late(index: Index) -> Finding:
    found = lags(index)
    never = [level for level, lag in found.items() if lag is None]
    if never:
        return Finding(
            "consistency",
            "failed",
            f"a {never[0]} read did not see a write within {_LAG_SECONDS:.0f} s",
            "the store does not catch up: look at its own log and load",
        )
    told = ", ".join(f"{level} {lag:.0f} ms" for level, lag in found.items())
    return Finding("consistency", "ok", f"a read sees a write after: {told}")


def _lag(index: Index, level: Consistency) -> float | None:
    """Return milliseconds until a read at a level sees a write; ``None`` where it never does."""
    name = f"lag-{level}"
    index.upsert([name], np.ones((1, _DIMENSION), dtype=np.float32))
    started = time.perf_counter()
    while time.perf_counter() - started < _LAG_SECONDS:
        if index.contains([name], consistency=level)[0]:
            return 1000 * (time.perf_counter() - started)
        time.sleep(0.01)
    return None
