"""The records that a view holds, read in as little time as FiftyOne's database allows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import numpy as np
from bson import ObjectId
from numpy.typing import NDArray

READ_AT_MOST_IDS = 512
"""Ids of a view that take no longer to read than over-fetching takes."""

_GROUPED = "group"
"""FiftyOne's media type of samples with slices."""

_IDS_PER_DOCUMENT = 200_000
"""Ids that fit into one document, of at most 16 MB, with room to spare."""


class ViewScope:
    """The records among which one query is answered.

    A scope is made for each query and passed along with it, so that queries of several threads,
    each with a view of its own, do not mix.

    Args:
        view: the view that the index is restricted to; ``None`` for the whole index.
        patches_field: the field of the labels, where patches are indexed.
        read_at_most_ids: a view of samples that has more is large.

    Attributes:
        view: as given.
        is_large: whether reading the ids of the view takes longer than over-fetching. Always
            ``False`` for patches.
    """

    def __init__(
        self, view: Any, patches_field: str | None, read_at_most_ids: int = READ_AT_MOST_IDS
    ) -> None:
        self.view = view
        self.is_large = False
        self._patches_field = patches_field
        self._ids: list[str] | None = None
        if view is not None and patches_field is None and not view._is_patches:
            some = first_ids_of(view, read_at_most_ids + 1)
            self.is_large = len(some) > read_at_most_ids
            self._ids = None if self.is_large else some

    def ids(self) -> list[str] | None:
        """Return the ids of the view's records, or ``None`` for the whole index."""
        if self._ids is None and self.view is not None:
            self._ids = ids_within(self.view, self._patches_field)[1].tolist()
        return self._ids


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


def ids_of(view: Any, ids_per_document: int = _IDS_PER_DOCUMENT) -> list[str]:
    """Return what ``values("id")`` of samples gives, in their order, in less than half the time.

    The database is asked for all ids in one document: one document per id is what costs it time.

    Args:
        view: a dataset, or any view of samples.
        ids_per_document: if there are more ids, ``values("id")`` is asked.
    """
    found = first_ids_of(view, ids_per_document + 1)
    if len(found) > ids_per_document:
        every: list[str] = view.values("id")
        return every
    return found


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


def every_slice(samples: Any) -> Any:
    """Return the collection, with all of its slices where its samples are grouped."""
    if samples.media_type == _GROUPED:
        return samples.select_group_slices(_allow_mixed=True)
    return samples
