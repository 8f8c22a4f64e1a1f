"""The index behind a FiftyOne run: found, made and dropped as it is needed."""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vecbridge._client import Index, Store
from vecbridge._contract._consistency import Consistency, parse_consistency
from vecbridge._contract._records import Records
from vecbridge._errors import IndexNotFoundError
from vecbridge.fiftyone._stores import closings

SAMPLE_ID = "sample_id"
"""The field of a record that holds the id of its sample."""

_LONGEST_PART = 80


@dataclass
class IdTable:
    """Every record's id and its sample's, ordered by record id."""

    ids: list[str]
    sample_ids: list[str]
    _samples: dict[str, str] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._samples = dict(zip(self.ids, self.sample_ids, strict=True))

    def sample_of(self, record_id: str) -> str | None:
        """The sample that a record belongs to, if the record is known."""
        return self._samples.get(record_id)

    def of_samples(self, sample_ids: set[str]) -> list[str]:
        """The records of some samples."""
        pairs = zip(self.ids, self.sample_ids, strict=True)
        return [record for record, sample in pairs if sample in sample_ids]


class IndexHandle:
    """Opens the index of a run on first use.

    Args:
        config: the run's :class:`~vecbridge.fiftyone._config.BackendSimilarityConfig`.
    """

    def __init__(self, config: Any) -> None:
        self._config = config
        # Each is replaced as a whole: several threads may ask at once.
        self._index: tuple[int, Index] | None = None
        self._store: tuple[int, dict[str, Any], Store] | None = None

    @property
    def store(self) -> Store:
        """The store that the run's configuration names; found again where that has changed."""
        names = {"collection_name": self._config.collection_name, **self._config.given}
        held, now = self._store, closings()
        if held is not None and held[:2] == (now, names):
            return held[2]
        store: Store = self._config.connect()
        self._store = now, names, store
        return store

    def find(self) -> Index | None:
        """The index, if it exists.

        Raises:
            SchemaMismatchError: it exists with another metric.
        """
        if self._config.collection_name is None:
            return None
        # An index is as false as it is empty, and asking costs a count.
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
        """The index.

        Raises:
            IndexNotFoundError: there is none.
        """
        index = self.find()
        if index is None:
            raise IndexNotFoundError(
                f"the similarity index {self._config.collection_name!r} does not exist in backend "
                f"{self._config.backend_name!r}. Nothing was added to it yet, or it was deleted, "
                f"or it lived in another process's memory, or the settings lead to another store "
                f"than it was made in. Nothing else on the dataset is affected: add embeddings "
                f"with add_to_index(), pass the right settings to load_brain_results(), or delete "
                f"the run"
            )
        return index

    def create(self, dimension: int) -> Index:
        """Makes the index, with the field that holds sample ids."""
        now = closings()
        index = self.store.create_index(
            self._config.collection_name,
            dimension=dimension,
            metric=self._config.metric,
            fields={SAMPLE_ID: "string"},
            consistency=self._level(),
        )
        self._index = now, index
        self._config.found()
        return index

    def _level(self) -> Consistency | None:
        level = self._config.consistency_level
        return None if level is None else parse_consistency(level)

    def drop(self) -> None:
        """Removes the index, if it exists."""
        held, self._index = self._index, None
        if held is not None and held[0] == closings():
            held[1].close()
        if self._config.collection_name is None:
            return
        try:
            self.store.drop_index(self._config.collection_name)
        except IndexNotFoundError:
            return

    def forget(self) -> None:
        """Lets go of what was read, so that it is read afresh."""
        self._index = None


def read_all(index: Index | None) -> Records:
    """Every record in order of ids, with its sample's id, in one pass."""
    batches = [] if index is None else list(index.scan())
    if not batches:
        return Records((), np.empty((0, 0), dtype=np.float32), {SAMPLE_ID: []})
    ids = [name for batch in batches for name in batch.ids]
    samples = [name for batch in batches for name in batch.fields.get(SAMPLE_ID, batch.ids)]
    order = sorted(range(len(ids)), key=ids.__getitem__)
    vectors = np.concatenate([batch.vectors for batch in batches])[order]
    return Records(
        tuple(ids[row] for row in order), vectors, {SAMPLE_ID: [samples[row] for row in order]}
    )


def unique_name(dataset: str, brain_key: str | None) -> str:
    """A name for a new index that tells where it belongs."""
    parts = ["fiftyone", _slug(dataset), _slug(brain_key or ""), secrets.token_hex(4)]
    return "_".join(part for part in parts if part)


def _slug(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_")[:_LONGEST_PART].lower()


def read_table(index: Index) -> IdTable:
    """The ids of every record and of its sample, in order of record ids."""
    pairs: list[tuple[str, str]] = []
    for records in index.scan():
        samples = records.fields.get(SAMPLE_ID, records.ids)
        pairs.extend(zip(records.ids, map(str, samples), strict=True))
    pairs.sort()
    return IdTable([record for record, _ in pairs], [sample for _, sample in pairs])
