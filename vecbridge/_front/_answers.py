"""What an engine answers, looked at before it is handed on.

A store that is broken, or a backend that has a defect, may answer with what no caller could make
sense of: too few distances, NaN, records that nobody asked for. Such an answer is refused here, by
the one who can say whose fault it is. What only a second read could tell (whether an id was ever
written) is not looked at. The checks cost a small share of any read: they look at ids and
distances, and once over vectors that are handed on as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NoReturn, cast

import numpy as np
from numpy.typing import NDArray

from vecbridge._contract._capabilities import Capabilities
from vecbridge._contract._consistency import Consistency
from vecbridge._contract._filters import Filter
from vecbridge._contract._hits import Candidates, Hits
from vecbridge._contract._protocols import FarIndex, RangeIndex, VectorIndex
from vecbridge._contract._records import Fields, IndexInfo, Records
from vecbridge._errors import BackendError
from vecbridge._front import _validate as validate
from vecbridge._front._tracing import traced


class CheckedEngine:
    """A :class:`vecbridge.VectorIndex` that refuses what another answers against the contract.

    Args:
        engine: the other.
    """

    def __init__(self, engine: VectorIndex) -> None:
        self._engine = engine

    @property
    def info(self) -> IndexInfo:
        """The engine's."""
        return self._engine.info

    @property
    def capabilities(self) -> Capabilities:
        """The engine's."""
        return self._engine.capabilities

    @traced
    def upsert(
        self, ids: Sequence[str], vectors: NDArray[np.float32], fields: Fields | None = None
    ) -> None:
        """Writes."""
        self._engine.upsert(ids, vectors, fields)

    @traced
    def delete(self, ids: Sequence[str]) -> None:
        """Deletes."""
        self._engine.delete(ids)

    @traced
    def fetch(self, ids: Sequence[str], *, consistency: Consistency | None = None) -> Records:
        """Records of the ids asked for, and no other, in their order."""
        found = self._engine.fetch(ids, consistency=consistency)
        self._check_records(found, "fetch")
        absent = set(found.missing)
        there = tuple(name for name in ids if name not in absent)
        if found.ids != there or len(there) + len(found.missing) != len(ids):
            self._refuse("fetch", "its records and its missing ids are not those asked for")
        return found

    @traced
    def contains(
        self, ids: Sequence[str], *, consistency: Consistency | None = None
    ) -> NDArray[np.bool_]:
        """One bool an id."""
        found = self._engine.contains(ids, consistency=consistency)
        if not _is_array(found, np.bool_, (len(ids),)):
            self._refuse("contains", f"it is not {len(ids)} booleans")
        return found

    @traced
    def count(self, *, consistency: Consistency | None = None) -> int:
        """A number of records."""
        found = self._engine.count(consistency=consistency)
        if type(found) is not int or found < 0:
            self._refuse("count", f"{found!r} is no number of records")
        return found

    @traced
    def scan(self, batch_size: int, *, consistency: Consistency | None = None) -> Iterator[Records]:
        """Batches of the size asked for."""
        pages = self._engine.scan(batch_size, consistency=consistency)
        if not isinstance(pages, Iterable):
            self._refuse("scan", f"it is {type(pages).__name__}, not batches of Records")
        return self._pages(pages, batch_size)

    def _pages(self, pages: Iterable[Records], batch_size: int) -> Iterator[Records]:
        for records in pages:
            self._check_records(records, "scan")
            if len(records) > batch_size:
                self._refuse("scan", f"a batch has {len(records)} records; {batch_size} were asked")
            yield records

    @traced
    def search(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Hits]:
        """At most ``k`` hits a query, each at a distance."""
        found = self._engine.search(queries, k, within=within, where=where, consistency=consistency)
        self._check_answers(found, len(queries), Hits, "search")
        for hits in found:
            self._check_ids(hits.ids, "search")
            if len(hits.ids) > k or np.shape(hits.distances) != (len(hits.ids),):
                shape = np.shape(hits.distances)
                self._refuse(
                    "search", f"k is {k}; there are {len(hits.ids)} ids and {shape} distances"
                )
            if np.isnan(hits.distances).any():
                self._refuse("search", "a distance is NaN")
        self._check_scope([hits.ids for hits in found], within, "search")
        return found

    @traced
    def candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """Records for each query, and a floor."""
        found = self._engine.candidates(
            queries, k, within=within, where=where, consistency=consistency
        )
        self._check_candidates(found, len(queries), within, "candidates")
        return found

    @property
    def looks_far(self) -> bool:
        """Whether the engine is a :class:`FarIndex`."""
        return isinstance(self._engine, FarIndex)

    @traced
    def far_candidates(
        self,
        queries: NDArray[np.float32],
        k: int,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """Records for each query, and a floor; only of an engine that looks far."""
        found = cast(FarIndex, self._engine).far_candidates(
            queries, k, within=within, where=where, consistency=consistency
        )
        self._check_candidates(found, len(queries), within, "far_candidates")
        return found

    def close(self) -> None:
        """Closes the engine."""
        self._engine.close()

    def _span_attributes(self) -> dict[str, str | int]:
        return {
            "db.collection.name": self.info.name,
            "vecbridge.engine": type(self._engine).__name__,
        }

    def _check_candidates(
        self, found: list[Candidates], count: int, within: Sequence[str] | None, operation: str
    ) -> None:
        self._check_answers(found, count, Candidates, operation)
        for listed in found:
            self._check_ids(listed.ids, operation)
            self._check_vectors(listed.vectors, len(listed.ids), operation)
            if math.isnan(listed.floor):
                self._refuse(operation, "the floor is NaN")
        self._check_scope([listed.ids for listed in found], within, operation)

    def _check_answers(self, found: object, count: int, kind: type[Any], operation: str) -> None:
        if (
            not isinstance(found, list)
            or len(found) != count
            or not all(isinstance(each, kind) for each in found)
        ):
            self._refuse(operation, f"it is not {count} {kind.__name__}, one a query")

    def _check_records(self, found: object, operation: str) -> None:
        if not isinstance(found, Records):
            self._refuse(operation, f"it is {type(found).__name__}, not Records")
        self._check_ids(found.ids, operation)
        self._check_vectors(found.vectors, len(found), operation)
        lengths = {name: len(column) for name, column in found.fields.items()}
        if lengths != dict.fromkeys(self.info.fields, len(found)):
            self._refuse(operation, f"of {len(found)} records, it has fields {lengths}")

    def _check_ids(self, ids: Sequence[str], operation: str) -> None:
        if len(set(ids)) != len(ids):
            self._refuse(operation, "an id is there twice")
        if not {str}.issuperset(map(type, ids)):
            self._refuse(operation, "an id is no string")

    def _check_scope(
        self, answers: Sequence[Sequence[str]], within: Sequence[str] | None, operation: str
    ) -> None:
        if within is None:
            return
        seen = set[str]().union(*answers)
        outside = seen - validate.listed(seen, within)
        if outside:
            name = min(outside)
            self._refuse(operation, f"{name!r} is not among the ids that it was to search within")

    def _check_vectors(self, vectors: object, count: int, operation: str) -> None:
        if not _is_array(vectors, np.float32, (count, self.info.dimension)):
            self._refuse(operation, f"its vectors are not ({count}, {self.info.dimension}) float32")
        if not _all_finite(vectors):
            self._refuse(operation, "a vector holds NaN or infinity")

    def _refuse(self, operation: str, what: str) -> NoReturn:
        name = type(self._engine).__name__
        raise BackendError(
            f"{name} answered {operation!r} on index {self.info.name!r} against the contract: "
            f"{what}. The store or its backend is broken; run the conformance suite on it",
            backend=name,
            operation=operation,
        )


class CheckedRangeEngine(CheckedEngine):
    """The same of an engine that is a :class:`vecbridge.RangeIndex` too.

    Args:
        engine: the other.
        ranges: the same object.
    """

    def __init__(self, engine: VectorIndex, ranges: RangeIndex) -> None:
        super().__init__(engine)
        self._ranges = ranges

    @traced
    def in_range(
        self,
        queries: NDArray[np.float32],
        radius: float,
        *,
        within: Sequence[str] | None = None,
        where: Filter | None = None,
        consistency: Consistency | None = None,
    ) -> list[Candidates]:
        """The records within a distance of each query, and perhaps others."""
        found = self._ranges.in_range(
            queries, radius, within=within, where=where, consistency=consistency
        )
        self._check_candidates(found, len(queries), within, "in_range")
        return found


def checked(engine: VectorIndex) -> CheckedEngine:
    """An engine that refuses what ``engine`` answers against the contract."""
    if isinstance(engine, RangeIndex):
        return CheckedRangeEngine(engine, engine)
    return CheckedEngine(engine)


def _is_array(value: object, kind: type[np.generic], shape: tuple[int, ...]) -> bool:
    return isinstance(value, np.ndarray) and value.dtype == kind and value.shape == shape


def _all_finite(vectors: Any) -> bool:
    """Whether no value is NaN or infinite; a sum tells it, but for the rare one that overflows."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.add.reduce(vectors, axis=None)
    return bool(np.isfinite(total)) or bool(np.isfinite(vectors).all())
