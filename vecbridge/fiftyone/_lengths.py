"""Embeddings that do not go together: of unequal numbers of values, or of unequal norms."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import fiftyone.core.labels as fol
import numpy as np

from vecbridge import DimensionError
from vecbridge.fiftyone._view_scope import ids_of

logger = logging.getLogger(__name__)

_TOLERANCE = 0.01
"""Vectors that are shorter than the longest by more than this share are reported."""

_READ_AT_ONCE = 4096
"""Samples whose embeddings are read from a field at once."""

_NAMED_SHAPES = 3
"""Shapes that a message names, the commonest first."""


class VectorLengths:
    """Warn once where vectors of different length are compared by their dot product.

    ``dotproduct`` is the default metric of FiftyOne's page of Milvus. Among vectors of one length
    it ranks as the angle does. Otherwise long ones come first, and a vector need not be its own
    nearest.
    """

    def __init__(self) -> None:
        self._shortest, self._longest = np.inf, 0.0
        self._warned = False

    def add(self, vectors: Any, collection_name: str) -> None:
        """Look at vectors that were just added.

        Args:
            vectors: ``(n, d)``.
            collection_name: of the index.
        """
        if self._warned:
            return
        rows = np.asarray(vectors, dtype=np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        self._shortest = min(self._shortest, float(lengths.min()))
        self._longest = max(self._longest, float(lengths.max()))
        if self._shortest < (1 - _TOLERANCE) * self._longest:
            self._warned = True
            logger.warning(
                "The vectors of %r have lengths from %.4g to %.4g, and its metric is dotproduct: "
                'long vectors are found first, whatever they show. Pass metric="cosine" to '
                "compute_similarity() to compare directions alone, or normalize the vectors",
                collection_name,
                self._shortest,
                self._longest,
            )


def refuse_uneven_field(samples: Any, field: str, patches_field: str | None) -> None:
    """Refuse a field of embeddings that do not all have the same number of values.

    FiftyOne finds out while it stacks them, which is after the first parts were written. The field
    is read once more for it, part by part.

    Args:
        samples: the collection whose embeddings are to be indexed.
        field: the field of the embeddings; of the labels, where patches are indexed.
        patches_field: the field of the labels.

    Raises:
        DimensionError: they do not.
    """
    path, in_lists = field, False
    if patches_field is not None:
        kind, path = samples._get_label_field_path(patches_field, field)
        in_lists = issubclass(kind, fol._LABEL_LIST_FIELDS)
    shapes = _Shapes(in_lists=in_lists)
    ids = ids_of(samples)
    for start in range(0, len(ids), _READ_AT_ONCE):
        shapes.add(*samples.select(ids[start : start + _READ_AT_ONCE]).values(["id", path]))
    shapes.refuse_uneven(f"of field {path!r}")


def refuse_uneven(samples: Any, embeddings: Any, patches_field: str | None) -> None:
    """Refuse embeddings given in memory that do not all have the same number of values.

    Args:
        samples: the collection whose embeddings they are.
        embeddings: as ``compute_similarity`` takes them.
        patches_field: the field of the labels, where patches are indexed.

    Raises:
        DimensionError: they do not.
    """
    if isinstance(embeddings, np.ndarray) and embeddings.dtype != np.object_:
        return
    shapes = _Shapes(in_lists=patches_field is not None)
    if isinstance(embeddings, dict):
        shapes.add(embeddings.keys(), embeddings.values())
    else:
        shapes.add(ids_of(samples), embeddings)
    shapes.refuse_uneven("given")


def refuse_uneven_rows(ids: Iterable[str], vectors: Any) -> None:
    """Refuse rows of unequal length, which make no array.

    Args:
        ids: of the records.
        vectors: one per id.

    Raises:
        DimensionError: they are of unequal length.
    """
    if not isinstance(vectors, np.ndarray) or vectors.dtype == np.object_:
        shapes = _Shapes(in_lists=False)
        shapes.add(ids, vectors)
        shapes.refuse_uneven("given", "id")


class _Shapes:
    """The shapes of embeddings: how many there are of each, and a sample that has one.

    Args:
        in_lists: whether each sample has a list of embeddings, one per label.
    """

    def __init__(self, *, in_lists: bool) -> None:
        self._in_lists = in_lists
        self._found: dict[tuple[int, ...], tuple[int, str]] = {}

    def add(self, ids: Iterable[Any], values: Iterable[Any]) -> None:
        """Look at the embeddings of some samples; ``None`` is no embedding."""
        for name, value in zip(ids, values, strict=False):
            for vector in value if self._in_lists and value is not None else [value]:
                if vector is not None:
                    shape = _shape(vector)
                    count, example = self._found.get(shape, (0, str(name)))
                    self._found[shape] = count + 1, example

    def refuse_uneven(self, which: str, named: str = "sample") -> None:
        """Refuse what was looked at if it has more than one shape.

        Args:
            which: which embeddings they are.
            named: what the ids are of.

        Raises:
            DimensionError: it has.
        """
        if len(self._found) < 2:
            return
        commonest = sorted(self._found.items(), key=lambda found: -found[1][0])
        kind = f"a label of {named}" if self._in_lists else named
        listed = ", ".join(
            f"{count:,} {'has' if count == 1 else 'have'} {_words(shape)} ({kind} {example!r})"
            for shape, (count, example) in commonest[:_NAMED_SHAPES]
        )
        more = f", and {len(commonest) - _NAMED_SHAPES} other lengths"
        raise DimensionError(
            f"the embeddings {which} are not all of one length: {listed}"
            f"{more if len(commonest) > _NAMED_SHAPES else ''}. Nothing was changed"
        )


def _shape(vector: Any) -> tuple[int, ...]:
    shape = getattr(vector, "shape", None)
    if shape is not None:
        return tuple(shape)
    return (len(vector),) if hasattr(vector, "__len__") else ()


def _words(shape: tuple[int, ...]) -> str:
    if len(shape) != 1:
        return f"shape {shape}"
    return f"{shape[0]} value{'' if shape[0] == 1 else 's'}"
