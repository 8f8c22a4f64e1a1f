"""Views: the one to which each thread restricts an index, and the one that a sort gives.

FiftyOne keeps one results object per dataset and brain key, and every sort of a view restricts
that object to the view while it lasts. The App's server sorts in several threads. What FiftyOne's
class keeps in attributes is therefore kept per thread, so that no thread sees another's view.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import fiftyone.core.fields as fof
import fiftyone.core.patches as fop
import fiftyone.core.stages as fos
import numpy as np
from bson import ObjectId
from fiftyone import ViewField
from fiftyone.brain.similarity import SimilarityIndex

from vecbridge.fiftyone._collections import existing_samples, first_ids_of, ids_of, ids_within
from vecbridge.fiftyone._records import StoredRecords

READ_AT_MOST_IDS = 512
"""Ids of a view that take no longer to read than over-fetching takes."""


NAMED_AT_MOST_IDS = 400_000
"""Ids that a stage may name. An id takes 20 bytes of a command, of which MongoDB takes 16 MB."""


class ViewScope:
    """The records among which one query is answered.

    A scope is made for each query and passed along with it, so that queries of several threads,
    each with a view of its own, do not mix.

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
        if view is None or patches_field is not None or view._is_patches:
            return
        named = _named_by(view)
        if len(named) > NAMED_AT_MOST_IDS:
            # The view cannot be asked. FiftyOne makes such ones where it looks for duplicates.
            there = existing_samples(view, named)
            self._ids = [name for name in named if name in there]
        else:
            some = first_ids_of(view, READ_AT_MOST_IDS + 1)
            self.is_large = len(some) > READ_AT_MOST_IDS
            self._ids = None if self.is_large else some

    def ids(self) -> list[str] | None:
        """Return the ids of the view's records, or ``None`` for the whole index."""
        if self._ids is None and self.view is not None:
            self._ids = ids_within(self.view, self._patches_field)[1].tolist()
        return self._ids

    def among(self, names: Iterable[str]) -> set[str]:
        """Return those of some records that the view has; a large view is not read for it."""
        if self.is_large:
            return set(ids_of(self.view.select(list(names))))
        ids = self.ids()
        return set(names) if ids is None else set(names).intersection(ids)


def _named_by(view: Any) -> list[str]:
    """Return the samples that a view is of, where it names them and does nothing else."""
    stages = view.view()._all_stages
    alone = len(stages) == 1 and type(stages[0]) is fos.Select
    return list(stages[0].sample_ids) if alone else []


class _ViewState(threading.local):
    """The state that FiftyOne's class keeps of the current view, for one thread."""

    def __init__(self, samples: Any) -> None:
        # A thread that has chosen no view has all that is indexed.
        self.values: dict[str, Any] = {
            "_last_views": [],
            "_curr_view": samples,
            "_curr_view_allow_missing": True,
            "_curr_view_warn_missing": False,
        }
        self.read_at: Any = None


class _PerThread:
    """An attribute of the index that is each thread's own."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: ThreadViews, owner: type | None = None) -> Any:
        return instance._view_state.values.get(self._name)

    def __set__(self, instance: ThreadViews, value: Any) -> None:
        instance._view_state.values[self._name] = value


class ThreadViews(SimilarityIndex):  # type: ignore[misc]
    """FiftyOne's base of a similarity index, with a view per thread."""

    _last_view = _PerThread()
    _last_views = _PerThread()
    _curr_view = _PerThread()
    _curr_view_allow_missing = _PerThread()
    _curr_view_warn_missing = _PerThread()
    _curr_sample_ids = _PerThread()
    _curr_label_ids = _PerThread()
    _curr_keep_inds = _PerThread()
    _curr_missing_size = _PerThread()

    _records: StoredRecords

    def __init__(self, samples: Any, config: Any, brain_key: str | None, backend: Any) -> None:
        # The base class restricts the index to its samples while it is constructed.
        self._view_state = _ViewState(samples)
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
            pairs = self._records.living_sample_ids()
            self._curr_sample_ids = np.array(list(pairs.values()), dtype=np.str_)
            labels = self.config.patches_field is not None
            self._curr_label_ids = np.array(list(pairs), dtype=np.str_) if labels else None
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
    of_labels = not _selects_samples(view, patches_field)
    path = dist_field
    if of_labels:
        path = view._get_label_field_path(patches_field, dist_field)[1]
    ids = ranking.sample_ids if patches_field is None else ranking.label_ids or ()
    values = dict(zip(ids, ranking.distances, strict=True))
    if not values:
        # FiftyOne cannot infer the type of a field where no record was found.
        view._dataset.add_sample_field(path, fof.FloatField)
    elif of_labels:
        view.set_label_values(path, values, dynamic=True)
    else:
        view.set_values(path, values, key_field="id")


def sorted_view(
    view: Any, patches_field: str | None, ranking: Ranking, *, ranks_all: bool, as_pipeline: bool
) -> Any:
    """Return the records of a ranking, in its order.

    Where it ranks all records, no label has to be filtered out. ``as_pipeline`` gives the
    aggregation pipeline instead of the view that it makes.
    """
    labels = ranking.label_ids or ()
    if _selects_samples(view, patches_field):
        ids = ranking.sample_ids if patches_field is None else labels
        stages = [fos.Select(list(ids), ordered=True)]
    else:
        stages = [fos.Select(list(dict.fromkeys(ranking.sample_ids)), ordered=True)]
        if not ranks_all:
            chosen = ViewField("_id").is_in([ObjectId(name) for name in labels])
            stages.append(fos.FilterLabels(patches_field, chosen))
    if not as_pipeline:
        for stage in stages:
            view = view.add_stage(stage)
        return view
    pipeline: list[Any] = []
    for stage in stages:
        stage.validate(view)
        pipeline.extend(stage.to_mongo(view))
    return pipeline


def _selects_samples(view: Any, patches_field: str | None) -> bool:
    return patches_field is None or isinstance(view, fop.PatchesView)
