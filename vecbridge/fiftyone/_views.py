"""Views: the one to which each thread restricts an index, and the one that a sort gives.

FiftyOne keeps one results object per dataset and brain key, and every sort of a view restricts
that object to the view while it lasts. The App's server sorts in several threads. What FiftyOne's
class keeps in attributes is therefore kept per thread, so that no thread sees another's view.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.fields as fof
import fiftyone.core.patches as fop
import fiftyone.core.stages as fos
import numpy as np
from bson import ObjectId
from fiftyone import ViewField
from fiftyone.brain.similarity import SimilarityIndex

from vecbridge.fiftyone._collections import first_ids_of, ids_within
from vecbridge.fiftyone._records import StoredRecords

READ_AT_MOST_IDS = 512
"""Ids of a view that take no longer to read than over-fetching takes."""


class ViewScope:
    """The records among which one query is answered.

    A scope is made for each query and passed along with it, so that queries of several threads,
    each with a view of its own, do not mix.

    Args:
        view: the view that the index is restricted to; ``None`` for the whole index.
        patches_field: the field of the labels, where patches are indexed.

    Attributes:
        view: as given.
        is_large: whether reading the ids of the view takes longer than over-fetching. Always
            ``False`` for patches.
    """

    def __init__(self, view: Any, patches_field: str | None) -> None:
        self.view = view
        self.is_large = False
        self._patches_field = patches_field
        self._ids: list[str] | None = None
        if view is not None and patches_field is None and not view._is_patches:
            some = first_ids_of(view, READ_AT_MOST_IDS + 1)
            self.is_large = len(some) > READ_AT_MOST_IDS
            self._ids = None if self.is_large else some

    def ids(self) -> list[str] | None:
        """Return the ids of the view's records, or ``None`` for the whole index."""
        if self._ids is None and self.view is not None:
            self._ids = ids_within(self.view, self._patches_field)[1].tolist()
        return self._ids


class _ViewState(threading.local):
    """The state that FiftyOne's class keeps of the current view, for one thread.

    Args:
        samples: what is indexed: the view of a thread that has chosen none.
    """

    def __init__(self, samples: Any) -> None:
        self.last_view: Any = None
        self.last_views: list[Any] = []
        self.curr_view = samples
        self.curr_view_allow_missing: Any = True
        self.curr_view_warn_missing: Any = False
        self.curr_sample_ids: Any = None
        self.curr_label_ids: Any = None
        self.curr_keep_inds: Any = None
        self.curr_missing_size: Any = None
        self.read_at: Any = None


class _PerThread:
    """An attribute of the index that is each thread's own."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.lstrip("_")

    def __get__(self, instance: ThreadViews, owner: type | None = None) -> Any:
        return getattr(instance._view_state, self._name)

    def __set__(self, instance: ThreadViews, value: Any) -> None:
        setattr(instance._view_state, self._name, value)


class ThreadViews(SimilarityIndex):  # type: ignore[misc]
    """FiftyOne's base of a similarity index, with a view per thread.

    Args:
        samples: the collection that is indexed.
        config: configuration of the run.
        brain_key: key of the run.
        records: of the index.
        backend: the factory that made the index, if one did.
    """

    _last_view = _PerThread()
    _last_views = _PerThread()
    _curr_view = _PerThread()
    _curr_view_allow_missing = _PerThread()
    _curr_view_warn_missing = _PerThread()
    _curr_sample_ids = _PerThread()
    _curr_label_ids = _PerThread()
    _curr_keep_inds = _PerThread()
    _curr_missing_size = _PerThread()

    def __init__(
        self,
        samples: Any,
        config: Any,
        brain_key: str | None,
        records: StoredRecords,
        backend: Any,
    ) -> None:
        # The base class restricts the index to its samples while it is constructed.
        self._view_state = _ViewState(samples)
        self._records = records
        self._views_changed()
        super().__init__(samples, config, brain_key, backend=backend)

    def _views_changed(self) -> None:
        """Make every thread read its view again before it uses it."""
        self._read_at = object()

    def _apply_view_if_necessary(self) -> None:
        # Another thread may have reloaded since this one has read its view.
        moment = self._read_at
        if self._view_state.read_at is not moment or self._curr_sample_ids is None:
            self._apply_view()
            self._view_state.read_at = moment

    def _apply_view(self) -> None:
        if not self.has_view:
            pairs = self._records.living_pairs()
            self._curr_sample_ids = np.array(pairs.sample_ids, dtype=np.str_)
            labels = self.config.patches_field is not None
            self._curr_label_ids = np.array(pairs.ids, dtype=np.str_) if labels else None
            self._curr_keep_inds = self._curr_missing_size = None
            return
        if not self._curr_view_allow_missing or self._curr_view_warn_missing:
            super()._apply_view()
            return
        # The ids of the view are looked up in the index, which may hold far more.
        patches = self.config.patches_field
        samples, ids = ids_within(self._curr_view, patches)
        there = self._records.are_known(ids.tolist())
        missing = len(there) - int(there.sum())
        self._curr_sample_ids = samples[there]
        self._curr_label_ids = None if patches is None else ids[there]
        self._curr_keep_inds = None
        self._curr_missing_size = missing or None

    def _scope(self) -> ViewScope:
        """Return what this thread restricts the index to."""
        # FiftyOne compares two views to tell whether there is one, so it is asked once.
        view = self.view if self.has_view else None
        return ViewScope(view, self.config.patches_field)

    def _current_ids(self) -> list[str]:
        """Return the ids of the records in this thread's view."""
        patches = self.config.patches_field
        ids = self.current_sample_ids if patches is None else self.current_label_ids
        return [str(name) for name in ids]


@dataclass(frozen=True)
class Ranking:
    """An answer: the samples of the records, their labels if patches are indexed, distances."""

    sample_ids: Sequence[str]
    label_ids: Sequence[str] | None
    distances: Sequence[float]


def write_distances(
    view: Any, patches_field: str | None, dist_field: str, ranking: Ranking
) -> None:
    """Write each distance to its sample, or to its label where labels of samples are sorted."""
    if not ranking.distances:
        _declare(view, patches_field, dist_field)
        return
    if _selects_samples(view, patches_field):
        ids = ranking.sample_ids if patches_field is None else ranking.label_ids or ()
        values = dict(zip(ids, ranking.distances, strict=True))
        view.set_values(dist_field, values, key_field="id")
        return
    _, path = view._get_label_field_path(patches_field, dist_field)
    values = dict(zip(ranking.label_ids or (), ranking.distances, strict=True))
    view.set_label_values(path, values, dynamic=True)


def sorted_view(
    view: Any, patches_field: str | None, ranking: Ranking, *, ranks_all: bool, as_pipeline: bool
) -> Any:
    """Return the records of a ranking, in its order.

    Args:
        view: what is sorted.
        patches_field: the field of the labels, if patches are indexed.
        ranking: the answer.
        ranks_all: the answer ranks all records, so that no label has to be filtered out.
        as_pipeline: give the aggregation pipeline instead of the view that it makes.
    """
    stages = _stages(view, patches_field, ranking, ranks_all=ranks_all)
    if not as_pipeline:
        for stage in stages:
            view = view.add_stage(stage)
        return view
    pipeline: list[Any] = []
    for stage in stages:
        stage.validate(view)
        pipeline.extend(stage.to_mongo(view))
    return pipeline


def _stages(
    view: Any, patches_field: str | None, ranking: Ranking, *, ranks_all: bool
) -> list[Any]:
    if _selects_samples(view, patches_field):
        ids = ranking.sample_ids if patches_field is None else ranking.label_ids or ()
        return [fos.Select(list(ids), ordered=True)]
    ordered = [fos.Select(list(dict.fromkeys(ranking.sample_ids)), ordered=True)]
    if not ranks_all:
        labels = [ObjectId(name) for name in ranking.label_ids or ()]
        ordered.append(fos.FilterLabels(patches_field, ViewField("_id").is_in(labels)))
    return ordered


def _selects_samples(view: Any, patches_field: str | None) -> bool:
    return patches_field is None or isinstance(view, fop.PatchesView)


def _declare(view: Any, patches_field: str | None, dist_field: str) -> None:
    """Make the field even where no record was found: FiftyOne cannot infer its type then."""
    path = dist_field
    if not _selects_samples(view, patches_field):
        path = view._get_label_field_path(patches_field, dist_field)[1]
    view._dataset.add_sample_field(path, fof.FloatField)
