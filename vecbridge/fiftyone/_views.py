"""The view that an index is restricted to: each thread's own.

FiftyOne keeps one results object for a dataset and a brain key, and every sort of a view restricts
that object to the view for as long as it takes. The App's server sorts in several threads. What
FiftyOne's class keeps in attributes is therefore kept for each thread: none sees another's view.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from fiftyone.brain.similarity import SimilarityIndex

from vecbridge.fiftyone._records import StoredRecords, ids_within


class _Here(threading.local):
    """What FiftyOne's class keeps of the current view, in this thread.

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
        self.field_is_source = False


class _PerThread:
    """An attribute of the index that is each thread's own."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.lstrip("_")

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return getattr(instance._here, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance._here, self._name, value)


class ViewsByThread(StoredRecords, SimilarityIndex):  # type: ignore[misc]
    """What a similarity index does with the view of the thread that asks."""

    _last_view = _PerThread()
    _last_views = _PerThread()
    _curr_view = _PerThread()
    _curr_view_allow_missing = _PerThread()
    _curr_view_warn_missing = _PerThread()
    _curr_sample_ids = _PerThread()
    _curr_label_ids = _PerThread()
    _curr_keep_inds = _PerThread()
    _curr_missing_size = _PerThread()

    def _begin_views(self, samples: Any) -> None:
        self._here = _Here(samples)
        self._views_changed()

    def _views_changed(self) -> None:
        """Says that what any thread has read of its view is to be read again."""
        self._read_at = object()

    def _apply_view_if_necessary(self) -> None:
        # Another thread may have reloaded since this one has read its view.
        moment = self._read_at
        if self._here.read_at is not moment or self._curr_sample_ids is None:
            self._apply_view()
            self._here.read_at = moment

    def _apply_view(self) -> None:
        if not self.has_view:
            table = self._living_table()
            self._curr_sample_ids = np.array(table.sample_ids, dtype=np.str_)
            labels = self.config.patches_field is not None
            self._curr_label_ids = np.array(table.ids, dtype=np.str_) if labels else None
            self._curr_keep_inds = self._curr_missing_size = None
            return
        if not self._curr_view_allow_missing or self._curr_view_warn_missing:
            super()._apply_view()
            return
        # What a view holds is looked up in the index, which may hold far more.
        patches = self.config.patches_field
        samples, ids = ids_within(self._curr_view, patches)
        there = self.are_known(ids.tolist())
        missing = len(there) - int(there.sum())
        self._curr_sample_ids = samples[there]
        self._curr_label_ids = None if patches is None else ids[there]
        self._curr_keep_inds = None
        self._curr_missing_size = missing or None

    @contextmanager
    def field_is_source(self, read: bool) -> Iterator[None]:
        """Around an addition: vectors that were read from the field are not written back to it."""
        self._here.field_is_source = read
        try:
            yield
        finally:
            self._here.field_is_source = False
