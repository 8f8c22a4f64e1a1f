"""What a user writes who has one library and no vecbridge: rows by number, in memory, one file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

K = 10


class RawFaiss:
    """A flat index of FAISS."""

    name = "FAISS, raw"

    def __init__(self, vectors: Any) -> None:
        import faiss

        self._faiss = faiss
        self._index = faiss.IndexFlatL2(vectors.shape[1])
        self._index.add(vectors)

    def search(self, queries: Any, k: int) -> object:
        """Distances and rows."""
        return self._index.search(queries, k)

    def within(self, query: Any, rows: Any) -> object:
        """Return the nearest among some rows."""
        selector = self._faiss.IDSelectorBatch(rows)
        chosen = self._faiss.SearchParameters(sel=selector)
        return self._index.search(query, K, params=chosen)

    def save(self, folder: Path) -> None:
        """Write one file."""
        self._faiss.write_index(self._index, str(folder / "raw.faiss"))

    def load(self, folder: Path) -> None:
        """Read it again."""
        self._index = self._faiss.read_index(str(folder / "raw.faiss"))


class RawSklearn:
    """Brute force of scikit-learn."""

    name = "scikit-learn"

    def __init__(self, vectors: Any) -> None:
        from sklearn.neighbors import NearestNeighbors

        self._kind = NearestNeighbors
        self._vectors = vectors
        self._fitted = NearestNeighbors(algorithm="brute").fit(vectors)

    def search(self, queries: Any, k: int) -> object:
        """Distances and rows."""
        return self._fitted.kneighbors(queries, k)

    def within(self, query: Any, rows: Any) -> object:
        """Return the nearest among some rows, which are taken out for it."""
        return self._kind(algorithm="brute").fit(self._vectors[rows]).kneighbors(query, K)

    def save(self, folder: Path) -> None:
        """Write one file."""
        import joblib

        joblib.dump(self._fitted, folder / "fitted.joblib")

    def load(self, folder: Path) -> None:
        """Read it again."""
        import joblib

        self._fitted = joblib.load(folder / "fitted.joblib")


PEERS: dict[str, type[RawFaiss | RawSklearn]] = {"faiss": RawFaiss, "sklearn": RawSklearn}
"""By the name of the backend that they are compared with."""
