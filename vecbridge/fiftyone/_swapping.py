"""A run that gets another index: the key, the fields and the time of the run stay."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from bson import json_util
from fiftyone.core.brain import BrainMethod

from vecbridge.fiftyone._config import BackendSimilarityConfig

_PREFIX = "vecbridge_adopting_"


def swap(dataset: Any, brain_key: str, index: Any) -> None:
    """Makes an index the one of a run, in a single write: before it the old one is, after it this.

    Args:
        dataset: the dataset.
        brain_key: key of the run.
        index: a similarity index of FiftyOne's, of any backend.
    """
    if isinstance(index.config, BackendSimilarityConfig):
        index.config.owner = str(dataset._root_dataset._doc.id)
    document = BrainMethod._get_run_doc(dataset, brain_key)
    before = document.results.grid_id if document.results else None
    results = type(document).results.get_proxy_obj("results", document)
    results.put(json_util.dumps(index.serialize()).encode(), content_type="application/json")
    document.results = results
    document.results_meta = dict(index.get_meta() or {})
    document.config = deepcopy(index.config.serialize())
    document.save()
    if before is not None:
        results.fs.delete(before)
    getattr(dataset, BrainMethod._results_cache_field()).pop(brain_key, None)


class Copying:
    """Remembers, in the dataset, a copy that is under way, so that a kill leaves none for good.

    Args:
        dataset: the dataset.
        brain_key: key of the run whose index is copied.
    """

    def __init__(self, dataset: Any, brain_key: str) -> None:
        self._dataset = dataset
        self._key = _PREFIX + brain_key

    @contextmanager
    def making(self, place: str, name: str, drop: Callable[[str], None]) -> Iterator[None]:
        """Around the copy: where it fails it is dropped; a kill is seen to by the next attempt.

        Args:
            place: the backend that it is made in.
            name: its name there.
            drop: drops it.
        """
        self._forget()
        facts = self._dataset.init_run(
            place=place, collection_name=name, dataset=str(self._dataset._doc.id)
        )
        self._dataset.register_run(self._key, facts)
        try:
            yield
        except BaseException:
            drop(name)
            raise
        finally:
            self._forget()

    def clear(self, place: str, drop: Callable[[str], None]) -> None:
        """Drops what a copy to the same backend has left that was killed."""
        if not self._dataset.has_run(self._key):
            return
        facts = self._dataset.get_run_info(self._key).config.serialize()
        # A clone has the facts of the original, whose copy is none of its business.
        own = facts.get("dataset") in {None, str(self._dataset._doc.id)}
        if own and facts.get("place") == place:
            drop(facts["collection_name"])
            self._forget()

    def _forget(self) -> None:
        if self._dataset.has_run(self._key):
            self._dataset.delete_run(self._key)
