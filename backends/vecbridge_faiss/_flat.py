"""Exact search by FAISS over the records' own matrix, with a proof.

FAISS is asked for its nearest in float32. How far a value of its may lie from the exact distance
depends on the kernel that ran:

- inner products, in whatever order they are summed: ``gamma(d) * |q| * |v|``;
- euclidean distances of few queries, from differences: relative, ``gamma(d + 2)`` of the square;
- euclidean distances of many queries, and of several by one product, from
  ``|q|**2 + |v|**2 - 2 q.v``: ``gamma(d)`` of ``(|q| + |v|)**2``, which decides little where
  vectors are long and close together.

For cosine, inner products with unit vectors are taken. Records that all have the same length, to
float32's precision, need no copy for that.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Metric
from vecbridge.ranking import gamma
from vecbridge_faiss._few import nearest_of_few
from vecbridge_faiss._library import faiss
from vecbridge_faiss._several import SEVERAL, halves_of, nearest_of_several

_LARGEST = 2.0**60
_SMALLEST = 2.0**-40
_SHORTEST = 2.0**-20
# What float64 arithmetic on top of the bounds, and the contract's own rounding, may add.
_SLACK = 2.0**-40
_TINY = 2.0**-120
_BLOCK_BYTES = 8 << 20
# Room for a quarter more, so that few of many additions move what is there.
_ROOM = 4


Way = Literal["own", "fast", "close"]
"""How queries are compared to the records."""


class Nearest(NamedTuple):
    """What FAISS found, nearest first: ``(q, count)`` each."""

    values: NDArray[np.float64]
    columns: NDArray[np.intp]
    differences: bool


class Flat:
    """Searches a matrix.

    Args:
        metric: of the index.
        vectors: ``(n, d)`` float32, C-contiguous.
        norms: ``(n,)`` exact norms.
        before: of the first of these vectors; its unit vectors are taken over.
    """

    def __init__(
        self,
        metric: Metric,
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        before: Flat | None = None,
    ) -> None:
        self._before = before
        self._metric: Metric = metric
        self._dimension = vectors.shape[1]
        self._largest = float(norms.max(initial=0.0))
        self.units: NDArray[np.float32] | None = None
        self._length, self._spread = 1.0, 0.0
        self._halves = halves_of(metric, norms)
        if metric == "cosine":
            self._prepare_units(vectors, norms)
        self._before = None

    def usable(self, query_norms: NDArray[np.float64]) -> NDArray[np.bool_]:
        """For which queries nothing overflows or vanishes; the bounds below rely on it."""
        return usable(self._metric, query_norms, self._largest)

    def nearest(
        self,
        queries: NDArray[np.float32],
        vectors: NDArray[np.float32],
        count: int,
        way: Way,
        selected: NDArray[np.intp] | None = None,
    ) -> Nearest:
        """The nearest records of usable queries.

        Args:
            queries: ``(q, d)`` float32.
            vectors: the matrix.
            count: how many; at most as many as there are.
            way: as FAISS itself does with so many queries; whatever is fastest; or one by one, with
                the least rounding.
            selected: rows that alone may be found.
        """
        matrix = vectors if self.units is None else self.units
        few = way == "close" or _are_few(queries)
        if few and len(queries) >= SEVERAL and way == "fast":
            several = nearest_of_several(
                self._metric, queries, matrix, self._halves, count, selected
            )
            return Nearest(*several, differences=False)
        find = nearest_of_few if few else _knn
        values, columns = find(self._metric, queries, matrix, count, selected)
        differences = few and self._metric == "euclidean"
        return Nearest(values.astype(np.float64), columns.astype(np.intp, copy=False), differences)

    def in_range(
        self,
        queries: NDArray[np.float32],
        query_norms: NDArray[np.float64],
        vectors: NDArray[np.float32],
        radius: float,
        selected: NDArray[np.intp] | None = None,
    ) -> list[NDArray[np.intp]]:
        """Rows of every record within a distance of each usable query, and perhaps of others.

        Args:
            queries: ``(q, d)`` float32.
            query_norms: of the queries, exact.
            vectors: the matrix.
            radius: the distance.
            selected: rows that alone may be found.
        """
        matrix = vectors if self.units is None else self.units
        found = []
        for at, norm in enumerate(query_norms):
            one = queries[at : at + 1]
            limit = self._value_within(radius, float(norm), differences=_are_few(one))
            found.append(_range(self._metric, one, matrix, limit, selected))
        return found

    def _value_within(self, radius: float, norm: float, *, differences: bool) -> float:
        """The FAISS value that no record within a distance can miss."""
        if self._metric == "euclidean":
            relative = gamma(self._dimension + 8)
            # A product that overflows is infinite, where a power raises OverflowError.
            square = max(radius, 0.0) * max(radius, 0.0)
            scale = square if differences else (norm + self._largest) ** 2
            return float(square + relative / (1.0 - relative) * scale + self._dimension * _TINY)
        if self._metric == "cosine":
            rounding = gamma(self._dimension + 8) * (1.0 + self._spread)
            return float((1.0 - radius - rounding - self._spread - _SLACK) * self._length * norm)
        error = gamma(self._dimension + 3) * self._largest * norm + self._dimension * _TINY
        return float(-radius - error)

    def distances(self, found: Nearest, query_norms: NDArray[np.float64]) -> NDArray[np.float64]:
        """FAISS's values as distances."""
        return distances_of(self._metric, found.values, self._length * query_norms[:, np.newaxis])

    def bounds(
        self, found: Nearest, query_norms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Between what the exact distances lie; both grow with FAISS's value."""
        norms = query_norms[:, np.newaxis]
        if self._metric == "euclidean":
            return self._square_roots(found, norms)
        middle = self.distances(found, query_norms)
        if self._metric == "cosine":
            rounding = gamma(self._dimension + 8) * (1.0 + self._spread)
            error = np.float64(rounding + self._spread + _SLACK)
        else:
            error = gamma(self._dimension + 3) * self._largest * norms + self._dimension * _TINY
        return middle - error, middle + error

    def _square_roots(
        self, found: Nearest, norms: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        relative = gamma(self._dimension + 8)
        scale = found.values if found.differences else (norms + self._largest) ** 2
        # The bound is relative to the exact square, which is larger than the computed by as much.
        error = relative / (1.0 - relative) * scale + self._dimension * _TINY
        return (
            np.sqrt(np.maximum(found.values - error, 0.0)) * (1.0 - _SLACK),
            np.sqrt(np.maximum(found.values + error, 0.0)) * (1.0 + _SLACK),
        )

    def _prepare_units(self, vectors: NDArray[np.float32], norms: NDArray[np.float64]) -> None:
        least = float(norms.min(initial=self._largest))
        length = 0.5 * (least + self._largest)
        spread = (self._largest - least) / length if length > 0.0 else 1.0
        if spread <= gamma(self._dimension) and _SHORTEST < length < _LARGEST:
            self._length, self._spread = length, spread
        else:
            self.units = self._grown(vectors, norms)

    def _grown(
        self, vectors: NDArray[np.float32], norms: NDArray[np.float64]
    ) -> NDArray[np.float32]:
        """Unit vectors, those of before moved only where there is no room behind them."""
        held = None if self._before is None else self._before.units
        if held is None:
            return unit_vectors(vectors, norms)
        known, count = len(held), len(vectors)
        room = held.base if isinstance(held.base, np.ndarray) else held
        if len(room) < count:
            room = np.empty((count + count // _ROOM, self._dimension), dtype=np.float32)
            room[:known] = held
        room[known:count] = unit_vectors(vectors[known:], norms[known:])
        return room[:count]


def usable(metric: Metric, query_norms: NDArray[np.float64], largest: float) -> NDArray[np.bool_]:
    """For which queries float32 neither overflows nor loses everything.

    Args:
        metric: of the index.
        query_norms: ``(q,)`` exact norms.
        largest: norm of the records.
    """
    if metric == "cosine":
        return (query_norms > _SMALLEST) & (query_norms < _LARGEST)
    scale = query_norms * largest
    if metric == "euclidean":
        scale = (query_norms + largest) ** 2
    return (query_norms < _LARGEST) & (largest < _LARGEST) & (scale > _SMALLEST**2)


def distances_of(
    metric: Metric, values: NDArray[np.float64], scale: NDArray[np.float64]
) -> NDArray[np.float64]:
    """FAISS's values as distances.

    Args:
        metric: of the index.
        values: squares or inner products.
        scale: for cosine, what the inner products are of the cosines.
    """
    if metric == "euclidean":
        return np.sqrt(np.maximum(values, 0.0))
    return 0.0 - values if metric == "dotproduct" else 1.0 - values / scale


def unit_vectors(vectors: NDArray[np.float32], norms: NDArray[np.float64]) -> NDArray[np.float32]:
    """Vectors over their norms, each component rounded once; zero vectors stay zero."""
    units = np.empty(vectors.shape, dtype=np.float32)
    factors = np.divide(1.0, norms, out=np.zeros_like(norms), where=norms > 0.0)
    rows = max(1, _BLOCK_BYTES // (8 * vectors.shape[1]))
    for start in range(0, len(vectors), rows):
        part = slice(start, start + rows)
        units[part] = vectors[part] * factors[part, np.newaxis]
    return units


def _are_few(queries: NDArray[np.float32]) -> bool:
    """Whether FAISS takes them one by one, euclidean distances from differences."""
    # Versions of FAISS compare the number of queries with it, or that of their components.
    return bool(queries.size < faiss.cvar.distance_compute_blas_threshold)


def _knn(
    metric: Metric,
    queries: NDArray[np.float32],
    vectors: NDArray[np.float32],
    count: int,
    selected: NDArray[np.intp] | None,
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """``faiss.knn``, which takes no selector."""
    values = np.empty((len(queries), count), dtype=np.float32)
    columns = np.empty((len(queries), count), dtype=np.int64)
    selector = None if selected is None else _selector(selected, len(vectors))
    pointers: list[Any] = [faiss.swig_ptr(queries), faiss.swig_ptr(vectors)]
    sizes = [vectors.shape[1], len(queries), len(vectors), count]
    out = [faiss.swig_ptr(values), faiss.swig_ptr(columns)]
    if metric == "euclidean":
        faiss.knn_L2sqr(*pointers, *sizes, *out, None, selector)
    else:
        faiss.knn_inner_product(*pointers, *sizes, *out, selector)
    return values, columns


def _range(
    metric: Metric,
    query: NDArray[np.float32],
    vectors: NDArray[np.float32],
    limit: float,
    selected: NDArray[np.intp] | None,
) -> NDArray[np.intp]:
    """``faiss.range_search`` of one query, which leaves out what is at the limit itself."""
    found = faiss.RangeSearchResult(1)
    selector = None if selected is None else _selector(selected, len(vectors))
    outwards = np.float32(np.inf if metric == "euclidean" else -np.inf)
    beyond = float(np.nextafter(np.nextafter(np.float32(limit), outwards), outwards))
    search = faiss.range_search_L2sqr if metric == "euclidean" else faiss.range_search_inner_product
    pointers = faiss.swig_ptr(query), faiss.swig_ptr(vectors)
    search(*pointers, vectors.shape[1], 1, len(vectors), beyond, found, selector)
    count = int(faiss.rev_swig_ptr(found.lims, 2)[1])
    return np.array(faiss.rev_swig_ptr(found.labels, count), dtype=np.intp)


def _selector(rows: NDArray[np.intp], count: int) -> Any:
    mask = np.zeros(count, dtype=np.bool_)
    mask[rows] = True
    return faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
