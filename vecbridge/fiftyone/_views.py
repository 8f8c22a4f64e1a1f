"""The view that an index is restricted to: each thread's own.

FiftyOne keeps one results object for a dataset and a brain key, and every sort of a view restricts
that object to the view for as long as it takes. The App's server sorts in several threads. What
FiftyOne's class keeps in attributes is therefore kept for each thread: none sees another's view.
"""

from __future__ import annotations

import threading
from typing import Any


class HereView(threading.local):
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


class Here:
    """An attribute of the index that is each thread's own."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name.lstrip("_")

    def __get__(self, instance: Any, owner: type | None = None) -> Any:
        return getattr(instance._here, self._name)

    def __set__(self, instance: Any, value: Any) -> None:
        setattr(instance._here, self._name, value)
