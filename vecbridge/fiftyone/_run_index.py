"""The index of a run: found, made, dropped, and exchanged for a copy in one write."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from copy import deepcopy
from typing import Any

from bson import json_util
from fiftyone.core.brain import BrainMethod

from vecbridge import Consistency, Index, IndexNotFoundError, InvalidArgumentError, Store
from vecbridge._contract._consistency import parse_consistency
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._names import name_for_run
from vecbridge.fiftyone._stores import closings
from vecbridge.transfer import copy

logger = logging.getLogger(__name__)

SAMPLE_ID = "sample_id"
"""The field of a record that holds the id of its sample."""

SOURCE = "source"
"""The field that holds a digest of what a model embedded; empty where that is not known."""


class IndexResolver:
    """Find, make and drop the index of a run.

    The index is opened on first use, and again after :func:`close_stores`.
    """

    def __init__(self, config: BackendSimilarityConfig) -> None:
        self._config = config
        # Each is replaced as a whole: several threads may ask at once.
        self._index: tuple[int, Index] | None = None
        self._store: tuple[int, dict[str, Any], Store] | None = None
        self._reported = False

    @property
    def store(self) -> Store:
        """The store that the run's configuration names; looked up again when that has changed."""
        held, now = self._store, closings()
        if held is not None and held[:2] == (now, self._names()):
            return held[2]
        store = self._config.connect()
        self._store = now, self._names(), store
        return store

    def find(self) -> Index | None:
        """Return the index, or ``None`` if it does not exist.

        Raises:
            SchemaMismatchError: it exists with another metric.
        """
        if self._config.collection_name is None:
            return None
        # Compared with None, since the truth value of an index is a count, which asks the store.
        held, now = self._index, closings()
        if held is not None and held[0] == now:
            return held[1]
        try:
            index = self.store.open_index(
                self._config.collection_name,
                metric=self._config.metric,
                consistency=self._level(),
            )
        except IndexNotFoundError:
            self._index = None
            return None
        self._index = now, index
        self._config.found()
        return index

    def require(self) -> Index:
        """Return the index.

        Raises:
            IndexNotFoundError: it does not exist.
        """
        index = self.find()
        if index is None:
            raise IndexNotFoundError(
                f"the similarity index {self._config.collection_name!r} does not exist in backend "
                f"{self._config.backend_name!r}. Either nothing was added to it yet, or it was "
                f"deleted, or it was in another process's memory, or the settings lead to "
                f"another store than the one it was made in. Nothing else on the dataset is "
                f"affected: add embeddings with add_to_index(), pass the right settings to "
                f"load_brain_results(), or delete the run{self._config.lost_index_hint()}"
            )
        return index

    def report_lost(self) -> None:
        """Warn once where the index of a stored run is not in the file that its records were in."""
        hint = self._config.lost_index_hint()
        if hint and not self._reported:
            self._reported = True
            logger.warning(
                "The similarity index %r does not exist, so its size is 0%s",
                self._config.collection_name,
                hint,
            )

    def create(self, dimension: int) -> Index:
        """Create the index, with the fields of its records."""
        now, fields = closings(), [SAMPLE_ID]
        if self._config.model_name is not None:
            fields.append(SOURCE)
        index = self.store.create_index(
            self._config.collection_name or "",
            dimension=dimension,
            metric=self._config.metric,
            fields=dict.fromkeys(fields, "string"),
            consistency=self._level(),
        )
        self._index = now, index
        self._config.found()
        return index

    def drop(self) -> None:
        """Drop the index, if it exists."""
        held, self._index = self._index, None
        if held is not None and held[0] == closings():
            held[1].close()
        if self._config.collection_name is None:
            return
        with suppress(IndexNotFoundError):
            self.store.drop_index(self._config.collection_name)

    def forget(self) -> None:
        """Let go of the open index, so that it is opened again."""
        self._index = None

    def _names(self) -> dict[str, Any]:
        return {"collection_name": self._config.collection_name, **self._config.given}

    def _level(self) -> Consistency | None:
        level = self._config.consistency_level
        return None if level is None else parse_consistency(level)


def detach(
    config: BackendSimilarityConfig,
    dataset: Any,
    key: str | None,
    resolver: IndexResolver,
    save: Callable[[], None],
) -> str:
    """Give a run an index of its own: a copy, in the same store, of the one that it reads.

    The configuration is changed, and saved with ``save``.

    Returns:
        The name of the copy.
    """
    if key is None or not dataset.has_brain_run(key):
        raise InvalidArgumentError("only the index of a saved run can be copied for it")
    source, store = resolver.require(), resolver.store
    name = name_for_run(dataset.name, key)
    with pending_copy(dataset, key, config.backend_name, name, store.drop_index):
        copy(source, store, name)
        before = config.collection_name, config.owner
        config.collection_name, config.owner = name, str(dataset._doc.id)
        try:
            save()
        except BaseException:
            config.collection_name, config.owner = before
            raise
    config.found()
    return name


def swap(dataset: Any, brain_key: str, index: Any) -> None:
    """Give a run another index, in a single write; its key, its fields and its time stay.

    ``index`` is a similarity index of FiftyOne's, of any backend.
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


def swap_store(dataset: Any, brain_key: str, config: BackendSimilarityConfig) -> None:
    """Give a run the index of vecbridge's that a configuration leads to."""
    factory = config.build()
    index = factory.index_type(dataset, config, brain_key, backend=factory)
    swap(dataset, brain_key, index)


class Note:
    """Facts of unfinished work, which outlive the process: a run of the dataset.

    A clone of the dataset has the notes of the original, and does not read them.
    """

    def __init__(self, dataset: Any, key: str) -> None:
        self._dataset = dataset
        self._key = key

    def write(self, **facts: Any) -> None:
        """Keep the facts, and no others."""
        self.erase()
        config = self._dataset.init_run(**facts, dataset=str(self._dataset._doc.id))
        self._dataset.register_run(self._key, config)

    def read(self) -> dict[str, Any] | None:
        """Return the facts, if there are any."""
        if not self._dataset.has_run(self._key):
            return None
        facts: dict[str, Any] = self._dataset.get_run_info(self._key).config.serialize()
        return facts if facts.get("dataset") in {None, str(self._dataset._doc.id)} else None

    def erase(self) -> None:
        """Forget the facts."""
        if self._dataset.has_run(self._key):
            self._dataset.delete_run(self._key)


@contextmanager
def pending_copy(
    dataset: Any, key: str, place: str, name: str, drop: Callable[[str], None]
) -> Iterator[None]:
    """Make a copy of a run's index while the block lasts; it is dropped if the block fails.

    If the process is killed meanwhile, the next attempt in the same backend drops the copy.

    ``place`` is the backend that the copy is made in, ``name`` its name there.
    """
    note = Note(dataset, f"vecbridge_adopting_{key}")
    earlier = note.read()
    if earlier is not None and earlier.get("place") == place:
        with suppress(IndexNotFoundError):
            drop(earlier["collection_name"])
    note.write(place=place, collection_name=name)
    try:
        yield
    except BaseException:
        with suppress(IndexNotFoundError):
            drop(name)
        raise
    finally:
        note.erase()
