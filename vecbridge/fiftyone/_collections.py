"""Ids and embeddings of FiftyOne's datasets and views, read in as little time as MongoDB allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import fiftyone.core.labels as fol
import numpy as np
from bson import ObjectId
from numpy.typing import NDArray

from vecbridge import DimensionError

_IDS_PER_DOCUMENT = 200_000
"""Ids that fit into one document, of at most 16 MB, with room to spare."""

_READ_AT_ONCE = 4096
"""Samples whose embeddings are read from a field at once."""

_NAMED_SHAPES = 3
"""Shapes that a message names, the commonest first."""


def ids_within(samples: Any, patches_field: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the sample's id and the record's id of each record that a collection would have.

    A field that holds one label per sample, not a list, is empty in some samples: they have no
    record.
    """
    if patches_field is None and not samples._is_patches:
        ids = np.array(ids_of(samples), dtype=np.str_)
        return ids, ids
    owners, labels, _, _ = fbu.filter_ids(samples, None, None, patches_field=patches_field)
    if patches_field is None:
        return owners, owners
    if labels.dtype != np.object_:
        return owners, labels
    there = np.array([name is not None for name in labels])
    return owners[there], labels[there]


def ids_of(view: Any) -> list[str]:
    """Return what ``values("id")`` of samples gives, in their order, in less than half the time.

    The database is asked for all ids in one document: one document per id is what costs it time.
    """
    found = first_ids_of(view, _IDS_PER_DOCUMENT + 1)
    return found if len(found) <= _IDS_PER_DOCUMENT else list(view.values("id"))


def first_ids_of(view: Any, limit: int) -> list[str]:
    """Return the ids of the first samples of a view, at most ``limit`` of them."""
    pipeline = [{"$limit": limit}, {"$group": {"_id": None, "ids": {"$push": "$_id"}}}]
    documents = view._aggregate(post_pipeline=pipeline)
    return [str(name) for document in documents for name in document["ids"]]


def existing_samples(samples: Any, ids: Iterable[str]) -> set[str]:
    """Return those of the ids that samples of the dataset have, in any of its group slices."""
    wanted = [ObjectId(name) for name in ids if ObjectId.is_valid(name)]
    documents = samples._dataset._sample_collection
    found: set[str] = set()
    for start in range(0, len(wanted), _IDS_PER_DOCUMENT):
        part = {"_id": {"$in": wanted[start : start + _IDS_PER_DOCUMENT]}}
        found.update(str(each["_id"]) for each in documents.find(part, {"_id": True}))
    return found


def refuse_uneven_field(samples: Any, field: str, patches_field: str | None) -> None:
    """Refuse a field of embeddings that do not all have the same number of values.

    FiftyOne finds out while it stacks them, which is after the first parts were written. The field
    is read once more for it, part by part.

    The field is one of the labels where patches are indexed.

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
    """Refuse embeddings, as ``compute_similarity`` takes them, of unequal numbers of values.

    Raises:
        DimensionError: they are.
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
    """Refuse rows of unequal length, one per id, which make no array.

    Raises:
        DimensionError: they are of unequal length.
    """
    if not isinstance(vectors, np.ndarray) or vectors.dtype == np.object_:
        shapes = _Shapes(in_lists=False)
        shapes.add(ids, vectors)
        shapes.refuse_uneven("given", "id")


class _Shapes:
    """The shapes of embeddings: how many there are of each, and a sample that has one."""

    def __init__(self, *, in_lists: bool) -> None:
        self._in_lists = in_lists
        self._found: dict[tuple[int, ...], tuple[int, str]] = {}

    def add(self, ids: Iterable[Any], values: Iterable[Any]) -> None:
        """Count the embeddings of some samples; ``None`` is no embedding."""
        for name, value in zip(ids, values, strict=False):
            for vector in value if self._in_lists and value is not None else [value]:
                if vector is not None:
                    shape = _shape(vector)
                    count, example = self._found.get(shape, (0, str(name)))
                    self._found[shape] = count + 1, example

    def refuse_uneven(self, which: str, named: str = "sample") -> None:
        """Refuse more than one shape.

        Raises:
            DimensionError: there are several.
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
    if hasattr(vector, "shape"):
        return tuple(vector.shape)
    return (len(vector),) if hasattr(vector, "__len__") else ()


def _words(shape: tuple[int, ...]) -> str:
    if len(shape) != 1:
        return f"shape {shape}"
    return f"{shape[0]} value{'' if shape[0] == 1 else 's'}"
