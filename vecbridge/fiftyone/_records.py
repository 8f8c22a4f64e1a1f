"""The records of a similarity index: read, written and counted, in FiftyOne's formats."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import fiftyone.core.fields as fof
import numpy as np
from numpy.typing import NDArray

from vecbridge import DimensionError, Index, InvalidArgumentError, Records
from vecbridge.fiftyone._center import less_center, with_center
from vecbridge.fiftyone._collections import existing_samples, ids_within
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._run_index import SAMPLE_ID, SOURCE, IndexResolver

logger = logging.getLogger(__name__)

FETCH_AT_MOST_IDS = 1024
"""Ids that are fetched one by one; for more, everything is read."""

_LENGTHS_OF_RECORDS = 1024
"""Records of an existing index whose lengths are looked at."""

_LENGTH_TOLERANCE = 0.01
"""Vectors that are shorter than the longest by more than this share are reported."""


class StoredRecords:
    """Read and write the records of one similarity index.

    A record's id is its label's where patches are indexed, and its sample's otherwise. The field
    ``sample_id`` holds the sample's.
    """

    def __init__(
        self, samples: Any, config: BackendSimilarityConfig, resolver: IndexResolver
    ) -> None:
        self._samples = samples
        self._config = config
        self._resolver = resolver
        self._lengths = _VectorLengths()

    @property
    def index(self) -> Index:
        """The index.

        Raises:
            IndexNotFoundError: it does not exist.
        """
        return self._resolver.require()

    @property
    def patches_field(self) -> str | None:
        """The field of the labels, where patches are indexed."""
        name: str | None = self._config.patches_field
        return name

    def centered(self, vectors: Any) -> Any:
        """Return vectors as the index holds and is asked for them, less the center of the run."""
        return less_center(self._config, vectors)

    def are_known(self, ids: Sequence[str]) -> NDArray[np.bool_]:
        """Return whether each id is a record's: ``(n,)``."""
        index = self._resolver.find()
        return np.zeros(len(ids), np.bool_) if index is None else index.contains(ids)

    def sources(self) -> dict[str, str]:
        """Return the digest of what each record was embedded from; empty where it is unknown."""
        fields = [SOURCE] if SOURCE in self.index.info.fields else False
        return {
            name: str(source)
            for batch in self.index.scan(fields=fields, vectors=False, consistency="strong")
            for name, source in zip(
                batch.ids, batch.fields.get(SOURCE, [""] * len(batch)), strict=True
            )
        }

    def are_same(self, ids: Sequence[str], vectors: Any) -> NDArray[np.bool_]:
        """Return whether the vector of each record is this one, bit for bit: ``(n,)``."""
        if not len(ids):
            # There may be no index to ask.
            return np.zeros(0, np.bool_)
        given = np.ascontiguousarray(self.centered(vectors), dtype=np.float32).view(np.uint32)
        stored = np.ascontiguousarray(self.vectors_of(ids)).view(np.uint32)
        return np.asarray((given == stored).all(axis=1))

    def refuse_dimension(self, shape: tuple[int, ...]) -> None:
        """Refuse embeddings of another length than those of the index, if it exists.

        Raises:
            DimensionError: they are.
        """
        index = self._resolver.find()
        if index is not None and shape[1:] != (index.info.dimension,):
            raise DimensionError(
                f"the index {index.info.name!r} holds embeddings of {index.info.dimension} values, "
                f"and these have {shape[-1]}: another model made them. Compute the similarity "
                f"again under another key"
            )

    def sample_ids(self) -> dict[str, str]:
        """Return the sample of every record as they are now, in order of the records' ids.

        A store gives no ids without their vectors, so the dataset's ids are looked up. Everything
        is read only where the index has others too.
        """
        index = self._resolver.find()
        if index is None:
            return {}
        samples, ids = ids_within(self._samples, self.patches_field)
        there = self.are_known(ids.tolist())
        if int(there.sum()) != index.count():
            # Batch by batch: the vectors of all need not fit into memory.
            return dict(sorted(pair for batch in index.scan() for pair in _pairs_of(batch)))
        return dict(sorted(zip(ids[there].tolist(), samples[there].tolist(), strict=True)))

    def living_sample_ids(self) -> dict[str, str]:
        """Return the sample of every record whose sample, and label, the dataset still has."""
        pairs = self.sample_ids()
        for name in self.gone(pairs):
            del pairs[name]
        return pairs

    def gone(self, ids: Iterable[str]) -> set[str]:
        """Return those of the records whose sample or label was deleted from the dataset."""
        names = set(ids)
        if self.patches_field is None:
            return names - existing_samples(self._samples, names)
        samples = self._samples
        if samples.media_type == "group":
            samples = samples.select_group_slices(_allow_mixed=True)
        if len(names) <= FETCH_AT_MOST_IDS:
            samples = samples.select([name for name in set(self.samples_of(list(names))) if name])
        return names.difference(ids_within(samples, self.patches_field)[1].tolist())

    def samples_of(self, ids: Sequence[str]) -> list[str]:
        """Return the sample of each record; ``""`` where the record is unknown."""
        if self.patches_field is None:
            return list(ids)
        few = len(ids) <= FETCH_AT_MOST_IDS
        known = dict(_pairs_of(self.index.fetch(ids))) if few else self.sample_ids()
        return [known.get(name, "") for name in ids]

    def vectors_of(self, ids: Sequence[str]) -> NDArray[np.float32]:
        """Return the vectors of records, once per id: ``(n, d)``.

        Raises:
            InvalidArgumentError: an id is no record's.
        """
        records = self.index.fetch(ids)
        if records.missing:
            kind = "samples" if self.patches_field is None else "labels"
            raise InvalidArgumentError(
                f"{len(records.missing)} of {len(ids)} query ids are no {kind} of this index, "
                f"such as {records.missing[0]!r}"
            )
        if records.ids == tuple(ids):
            return records.vectors
        rows = {name: row for row, name in enumerate(records.ids)}
        return np.asarray(records.vectors[[rows[name] for name in ids]])

    def record_ids(self, sample_ids: Any, label_ids: Any) -> tuple[list[str], list[str]]:
        """Return the record's id and the sample's id of each embedding.

        Raises:
            InvalidArgumentError: the index is of patches, and there is not one label per sample id.
        """
        samples = [str(name) for name in sample_ids]
        if self.patches_field is None:
            return samples, samples
        if label_ids is None:
            raise InvalidArgumentError(
                f"this index holds the patches of field {self.patches_field!r}: give label_ids "
                f"too, one per embedding"
            )
        labels = [str(name) for name in label_ids]
        if len(labels) != len(samples):
            raise InvalidArgumentError(
                f"expected one label id per sample id; got {len(labels)} label ids and "
                f"{len(samples)} sample ids"
            )
        return labels, samples

    def absent_rows(self, ids: list[str], allow_existing: bool, warn_existing: bool) -> list[int]:
        """Return the positions of the ids that are not in the index yet.

        Raises:
            InvalidArgumentError: an id is in the index, and ``allow_existing`` is ``False``.
        """
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

    def upsert(
        self,
        ids: list[str],
        vectors: Any,
        samples: list[str],
        sources: Mapping[str, str] | None = None,
    ) -> None:
        """Write records with vectors ``(n, d)``; the index is created with the first of them.

        ``sources`` are digests of what was embedded, by id, as far as they are known.
        """
        index = self._resolver.find()
        made = index is None
        if index is None:
            shape = np.shape(vectors)
            if len(shape) != 2:
                raise InvalidArgumentError(
                    f"embeddings must have shape (n, d); got shape {tuple(shape)}"
                )
            index = self._resolver.create(shape[1])
        try:
            vectors = self.centered(vectors)
            known = {SAMPLE_ID: samples, SOURCE: [(sources or {}).get(name, "") for name in ids]}
            fields = {name: known[name] for name in index.info.fields if name in known}
            index.upsert(ids, vectors, fields or None)
        except BaseException:
            if made:
                self._resolver.drop()
            raise
        if self._config.metric == "dotproduct":
            self._lengths.add(vectors, index.info.name)

    def look_at_lengths(self) -> None:
        """Warn if a dot product compares vectors of different length; the first batch is read."""
        index = self._resolver.find()
        if index is None or self._config.metric != "dotproduct":
            return
        for records in index.scan(batch_size=_LENGTHS_OF_RECORDS):
            self._lengths.add(records.vectors, index.info.name)
            return

    def write_field(self, samples: list[str], ids: list[str], vectors: Any) -> None:
        """Write embeddings to the dataset's field that the configuration names."""
        name, patches = self._config.embeddings_field, self.patches_field
        rows: Any = np.asarray(vectors)
        path = name
        if patches is not None:
            _, path = self._samples._get_label_field_path(patches, name)
        if isinstance(self._samples._dataset.get_field(path), fof.ListField):
            rows = rows.tolist()
        fbu.add_embeddings(self._samples, rows, samples, ids, name, patches_field=patches)

    def clear_field(self, ids: list[str]) -> None:
        """Remove the embeddings of some records from the dataset's field."""
        patches = self.patches_field
        keys = {"sample_ids": ids} if patches is None else {"label_ids": ids}
        fbu.remove_embeddings(
            self._samples, self._config.embeddings_field, patches_field=patches, **keys
        )

    def named(
        self, wanted: Any, labels: bool, allow_missing: bool, warn_missing: bool
    ) -> list[str]:
        """Return the records of some samples or labels, whether the records exist or not."""
        patches = self.patches_field is not None
        if labels and not patches:
            raise InvalidArgumentError("this index holds samples, not labels: give sample_ids")
        names = list(dict.fromkeys(map(str, [wanted] if isinstance(wanted, str) else wanted)))
        if not patches or labels:
            return names
        pairs, wanted = self.sample_ids(), set(names)
        report_missing(wanted.difference(pairs.values()), allow_missing, warn_missing)
        return [record for record, sample in pairs.items() if sample in wanted]

    def known(
        self, wanted: Any, labels: bool, allow_missing: bool, warn_missing: bool
    ) -> list[str]:
        """Return the existing records of some samples or labels; arguments as of :meth:`named`."""
        if wanted is None:
            return []
        names = self.named(wanted, labels, allow_missing, warn_missing)
        there = self.are_known(names)
        found = [name for name, good in zip(names, there, strict=True) if good]
        report_missing(set(names).difference(found), allow_missing, warn_missing)
        return found

    def embeddings(self, ids: Sequence[str] | None) -> tuple[Any, set[str], Any, Any]:
        """Return vectors, missing ids, and the ids of samples and labels as FiftyOne has them.

        All are read, in order of their ids, where none are given.
        """
        index = self._resolver.find()
        pairs: list[tuple[str, str]] = []
        vectors, missing = np.empty((0, 0), dtype=np.float32), set(ids or ())
        if index is not None and ids is not None:
            records = index.fetch(ids)
            pairs, vectors, missing = _pairs_of(records), records.vectors, set(records.missing)
        elif index is not None and (batches := list(index.scan())):
            unordered = [pair for batch in batches for pair in _pairs_of(batch)]
            order = sorted(range(len(unordered)), key=unordered.__getitem__)
            pairs = [unordered[row] for row in order]
            vectors = np.concatenate([batch.vectors for batch in batches])[order]
            vectors = with_center(self._config, vectors)
        samples = np.array([sample for _, sample in pairs], dtype=np.str_)
        labels = np.array([record for record, _ in pairs], dtype=np.str_)
        return vectors, missing, samples, None if self.patches_field is None else labels


class _VectorLengths:
    """Warn once where vectors of different length are compared by their dot product.

    ``dotproduct`` is the default metric of FiftyOne's page of Milvus. Among vectors of one length
    it ranks as the angle does. Otherwise long ones come first, and a vector need not be its own
    nearest.
    """

    def __init__(self) -> None:
        self._shortest, self._longest = np.inf, 0.0
        self._warned = False

    def add(self, vectors: Any, collection_name: str) -> None:
        """Look at vectors, ``(n, d)``, of the index with this name."""
        if self._warned:
            return
        rows = np.asarray(vectors, dtype=np.float64)
        lengths = np.sqrt(np.einsum("ij,ij->i", rows, rows))
        self._shortest = min(self._shortest, float(lengths.min()))
        self._longest = max(self._longest, float(lengths.max()))
        if self._shortest < (1 - _LENGTH_TOLERANCE) * self._longest:
            self._warned = True
            logger.warning(
                "The vectors of %r have lengths from %.4g to %.4g, and its metric is dotproduct: "
                'long vectors are found first, whatever they show. Pass metric="cosine" to '
                "compute_similarity() to compare directions alone, or normalize the vectors",
                collection_name,
                self._shortest,
                self._longest,
            )


def report_missing(missing: set[str], allow: bool, warn: bool) -> None:
    """Refuse ids that are not in the index, or log how many there are.

    Raises:
        InvalidArgumentError: there are some, and they are not allowed.
    """
    if missing and not allow:
        raise InvalidArgumentError(
            f"{len(missing)} of the ids are not in the index, such as {min(missing)!r}; "
            f"pass allow_missing=True to leave them out"
        )
    if missing and warn:
        logger.warning("Ignoring %d IDs that are not present in the index", len(missing))


def _pairs_of(records: Records) -> list[tuple[str, str]]:
    """Return the ids of records and of their samples."""
    samples = records.fields.get(SAMPLE_ID, records.ids)
    return list(zip(records.ids, map(str, samples), strict=True))
