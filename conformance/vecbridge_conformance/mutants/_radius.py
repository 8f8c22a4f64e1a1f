"""Mutants that find by distance or list the farthest, and not all that they should."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from vecbridge import Candidates, Capabilities, Scope
from vecbridge.ranking import distances, rank
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._registry import mutant

Vectors = NDArray[np.float32]


class Ranged(ReferenceIndex):
    """Finds by distance natively."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, range_search=True)

    def in_range(self, queries: Vectors, radius: float, scope: Scope) -> list[Candidates]:
        found = self.candidates(queries, 1 << 30, scope)
        return [self._kept(query, each, radius) for query, each in zip(queries, found, strict=True)]

    def _kept(self, query: Vectors, found: Candidates, radius: float) -> Candidates:
        inside = self._inside(distances(self.info.metric, query, found.vectors), radius)
        rows = np.flatnonzero(inside)
        names = tuple(found.ids[row] for row in rows.tolist())
        return Candidates(names, found.vectors[rows], found.lower_bound)

    def _inside(self, table: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
        return np.asarray(table <= radius)


@mutant("radius-open", clause="NEAR-1")
class RadiusOpen(Ranged):
    """Leaves out the records at the radius itself."""

    def _inside(self, table: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
        return np.asarray(table < radius)


@mutant(
    "radius-squared",
    link="https://github.com/facebookresearch/faiss/issues/413",
    clause="NEAR-1",
)
class RadiusSquared(Ranged):
    """Compares the squares of distances with the radius."""

    def _inside(self, table: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
        return np.asarray(table * np.abs(table) <= radius)


@mutant("radius-cut-off", clause="NEAR-1")
class RadiusCutOff(Ranged):
    """Lists at most sixteen records within a radius, and does not say that there are more."""

    def _kept(self, query: Vectors, found: Candidates, radius: float) -> Candidates:
        kept = super()._kept(query, found, radius)
        return Candidates(kept.ids[:16], kept.vectors[:16], kept.lower_bound)


@mutant("radius-half-precision", clause="CAND-8")
class RadiusHalfPrecision(Ranged):
    """Lists the records within a radius with vectors that went through half precision."""

    def _kept(self, query: Vectors, found: Candidates, radius: float) -> Candidates:
        kept = super()._kept(query, found, radius)
        with np.errstate(over="ignore"):
            return Candidates(
                kept.ids, kept.vectors.astype(np.float16).astype(np.float32), kept.lower_bound
            )


@mutant("radius-shrunk", clause="CAND-8")
class RadiusShrunk(Ranged):
    """Compares with the radius less a rounding error, so that the farthest within is lost."""

    def _inside(self, table: NDArray[np.float64], radius: float) -> NDArray[np.bool_]:
        return np.asarray(table * (1.0 + 1e-6) <= radius * (1.0 - 1e-6))


class Far(ReferenceIndex):
    """Lists the farthest records natively."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, farthest=True)

    def far_candidates(self, queries: Vectors, k: int, scope: Scope) -> list[Candidates]:
        found = self.candidates(queries, 1 << 30, scope)
        return [self._far(query, each, k) for query, each in zip(queries, found, strict=True)]

    def _far(self, query: Vectors, found: Candidates, k: int) -> Candidates:
        keys = -distances(self.info.metric, query, found.vectors)
        order = rank(found.ids, keys)
        listed = found.take(order[:k])
        return replace(listed, lower_bound=self._bound(keys[order[k:]]))

    def _bound(self, others: NDArray[np.float64]) -> float:
        return float(others.min()) if len(others) else math.inf


@mutant("far-bound-of-the-distance", clause="CAND-9")
class FarBoundOfTheDistance(Far):
    """Bounds the distance of the records that it leaves out, and not minus the distance."""

    def _bound(self, others: NDArray[np.float64]) -> float:
        return -super()._bound(others) if len(others) else math.inf
