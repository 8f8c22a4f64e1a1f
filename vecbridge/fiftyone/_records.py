"""The records of a similarity index: ids, rows and the dataset's field, in FiftyOne's formats."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import fiftyone.core.fields as fof
import numpy as np
from numpy.typing import NDArray

from vecbridge._errors import InvalidArgumentError
from vecbridge.fiftyone._handle import SAMPLE_ID, IdTable, IndexHandle, read_table
from vecbridge.fiftyone._ids import every_slice, ids_of, living

logger = logging.getLogger(__name__)

_FETCH_AT_MOST = 1024


def ids_within(samples: Any, patches_field: str | None) -> tuple[NDArray[Any], NDArray[Any]]:
    """The sample's id and the record's id of each record that a collection would have.

    A field of one label a sample, and not of a list, has none in some samples.
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


class StoredRecords:
    """What a similarity index does with its records.

    Mixed into :class:`~vecbridge.fiftyone._index.BackendSimilarityIndex`, whose attributes it uses.
    """

    config: Any
    _handle: IndexHandle
    _samples: Any

    def are_known(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Whether each id is a record's: ``(n,)``."""
        index = self._handle.find()
        return np.zeros(len(ids), np.bool_) if index is None else index.contains(ids)

    def _table(self) -> IdTable:
        """Every record, as it is now.

        A store gives no ids without their vectors, so the dataset's ids are looked up; only where
        those are not all, everything is read.
        """
        index = self._handle.find()
        if index is None:
            return IdTable([], [])
        samples, ids = ids_within(self._samples, self.config.patches_field)
        there = self.are_known(ids.tolist())
        if int(there.sum()) != index.count():
            return read_table(index)
        ids, samples = ids[there], samples[there]
        order = np.argsort(ids)
        return IdTable(ids[order].tolist(), samples[order].tolist())

    def _living_table(self) -> IdTable:
        """Every record whose sample, and label, the dataset still has."""
        table = self._table()
        gone = self.gone(table.ids)
        if not gone:
            return table
        pairs = zip(table.ids, table.sample_ids, strict=True)
        kept = [pair for pair in pairs if pair[0] not in gone]
        return IdTable([record for record, _ in kept], [sample for _, sample in kept])

    def gone(self, ids: Sequence[str]) -> set[str]:
        """The records, of some, whose sample or label was deleted from the dataset."""
        names = set(ids)
        patches = self.config.patches_field
        if patches is None:
            return names - living(self._samples, names)
        samples = every_slice(self._samples)
        if len(names) <= _FETCH_AT_MOST:
            samples = samples.select(
                [name for name in set(self._sample_ids_of(list(names))) if name]
            )
        return names.difference(ids_within(samples, patches)[1].tolist())

    def _sample_ids_of(self, ids: Sequence[str]) -> list[str]:
        """The sample of each record."""
        if self.config.patches_field is None:
            return list(ids)
        if len(ids) <= _FETCH_AT_MOST:
            records = self._handle.require().fetch(ids)
            known = dict(zip(records.ids, map(str, records.fields[SAMPLE_ID]), strict=True))
            return [known.get(name, "") for name in ids]
        table = self._table()
        return [table.sample_of(name) or "" for name in ids]

    def _record_ids(self, sample_ids: Any, label_ids: Any) -> tuple[list[str], list[str]]:
        samples = [str(name) for name in sample_ids]
        if self.config.patches_field is None:
            return samples, samples
        if label_ids is None:
            raise InvalidArgumentError(
                f"this index holds the patches of field {self.config.patches_field!r}: give "
                f"label_ids too, one an embedding"
            )
        labels = [str(name) for name in label_ids]
        if len(labels) != len(samples):
            raise InvalidArgumentError(
                f"there must be one label id a sample id; got {len(labels)} and {len(samples)}"
            )
        return labels, samples

    def _absent_rows(self, ids: list[str], allow_existing: bool, warn_existing: bool) -> list[int]:
        there = self.are_known(ids)
        count = int(there.sum())
        if count and not allow_existing:
            example = ids[int(there.argmax())]
            raise InvalidArgumentError(
                f"{count} of {len(ids)} ids are in the index already, such as {example!r}; nothing "
                f"was added. Pass allow_existing=True to skip them, or overwrite=True"
            )
        if count and warn_existing:
            logger.warning("Ignoring %d IDs that are already present in the index", count)
        return [int(row) for row in np.flatnonzero(~there)]

    def _upsert(self, ids: list[str], vectors: Any, samples: list[str]) -> None:
        index = self._handle.find()
        made = index is None
        if index is None:
            shape = np.shape(vectors)
            if len(shape) != 2:
                raise InvalidArgumentError(
                    f"embeddings must have shape (n, d); got shape {tuple(shape)}"
                )
            index = self._handle.create(shape[1])
        try:
            index.upsert(ids, vectors, {SAMPLE_ID: samples} if index.info.fields else None)
        except BaseException:
            if made:
                self._handle.drop()
            raise

    def _write_field(self, samples: list[str], ids: list[str], vectors: Any) -> None:
        field, patches = self.config.embeddings_field, self.config.patches_field
        rows: Any = np.asarray(vectors)
        path = field
        if patches is not None:
            _, path = self._samples._get_label_field_path(patches, field)
        if isinstance(self._samples._dataset.get_field(path), fof.ListField):
            rows = rows.tolist()
        fbu.add_embeddings(self._samples, rows, samples, ids, field, patches_field=patches)

    def _named(
        self, wanted: Any, labels: bool, allow_missing: bool, warn_missing: bool
    ) -> list[str]:
        """The records of the samples or labels that are asked for, whether they exist or not."""
        patches = self.config.patches_field is not None
        if labels and not patches:
            raise InvalidArgumentError("this index holds samples, not labels: give sample_ids")
        names = list(dict.fromkeys(map(str, [wanted] if isinstance(wanted, str) else wanted)))
        if not patches or labels:
            return names
        table = self._table()
        missing = set(names).difference(table.sample_ids)
        self._report_missing(missing, allow_missing, warn_missing)
        return table.of_samples(set(names))

    def _known_ids(
        self, wanted: Any, labels: bool, allow_missing: bool, warn_missing: bool
    ) -> list[str]:
        """The records that are in the index, of the samples or labels that are asked for."""
        if wanted is None:
            return []
        names = self._named(wanted, labels, allow_missing, warn_missing)
        there = self.are_known(names)
        found = [name for name, good in zip(names, there, strict=True) if good]
        self._report_missing(set(names).difference(found), allow_missing, warn_missing)
        return found

    def _report_missing(self, missing: set[str], allow: bool, warn: bool) -> None:
        if missing and not allow:
            raise InvalidArgumentError(
                f"{len(missing)} of the ids are not in the index, such as {min(missing)!r}; "
                f"pass allow_missing=True to leave them out"
            )
        if missing and warn:
            logger.warning("Ignoring %d IDs that are not present in the index", len(missing))

    def _id_arrays(self, samples: Sequence[Any], ids: Sequence[str]) -> tuple[Any, Any]:
        labels = None if self.config.patches_field is None else np.array(ids, dtype=np.str_)
        return np.array([str(name) for name in samples], dtype=np.str_), labels
