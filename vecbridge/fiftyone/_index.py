"""The similarity index of any backend: its records, as FiftyOne sees them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import numpy as np
from fiftyone.brain.similarity import DuplicatesMixin, SimilarityIndex

from vecbridge._errors import IndexNotFoundError, InvalidArgumentError
from vecbridge._front._index import Index
from vecbridge._front._store import Store
from vecbridge.fiftyone import _duplicates as duplicates
from vecbridge.fiftyone import _sorting as sorting
from vecbridge.fiftyone._handle import SAMPLE_ID, IndexHandle, read_all
from vecbridge.fiftyone._neighbors import Neighbors

logger = logging.getLogger(__name__)

_FETCH_AT_MOST = 1024


class BackendSimilarityIndex(SimilarityIndex, DuplicatesMixin):  # type: ignore[misc]
    """A FiftyOne similarity index in a vecbridge backend.

    A record's id is its label's for patches and its sample's otherwise; the field ``sample_id``
    holds the sample's. Distances are vecbridge's: lower is nearer, for every metric.

    Args:
        samples: the collection that is indexed.
        config: its :class:`~vecbridge.fiftyone._config.BackendSimilarityConfig`.
        brain_key: key of its run.
        backend: the factory that made it, if one did.
    """

    def __init__(
        self, samples: Any, config: Any, brain_key: str | None, backend: Any = None
    ) -> None:
        # The base class restricts the index to its samples while it is constructed.
        self._handle = IndexHandle(config)
        self._neighbors = Neighbors(self)
        SimilarityIndex.__init__(self, samples, config, brain_key, backend=backend)
        DuplicatesMixin.__init__(self)

    @classmethod
    def _from_dict(cls, _: Any, samples: Any, config: Any, brain_key: str) -> Any:
        return cls(samples, config, brain_key)

    @property
    def store(self) -> Store:
        """The store behind."""
        return self._handle.store

    @property
    def index(self) -> Index:
        """The index in the store.

        Raises:
            IndexNotFoundError: it does not exist, or not any more.
        """
        return self._handle.require()

    @property
    def collection(self) -> Any:
        """The store's own object for the index, or ``None`` where it does not exist."""
        index = self._handle.find()
        return None if index is None else index.engine

    @property
    def client(self) -> Any:
        """The store's own client, or its backend where it has none."""
        backend = self.store.backend
        return getattr(backend, "client", backend)

    @property
    def total_index_size(self) -> int:
        """The number of records; 0 where the index does not exist."""
        index = self._handle.find()
        try:
            return 0 if index is None else index.count()
        except IndexNotFoundError:
            self._handle.forget()
            return 0

    @property
    def sample_ids(self) -> Any:
        """Sample ids of the whole index, in order of the records' ids."""
        return np.array(self._handle.table().sample_ids, dtype=np.str_)

    @property
    def label_ids(self) -> Any:
        """Label ids of the whole index, in order; ``None`` where samples are indexed."""
        if self.config.patches_field is None:
            return None
        return np.array(self._handle.table().ids, dtype=np.str_)

    def add_to_index(
        self,
        embeddings: Any,
        sample_ids: Any,
        label_ids: Any = None,
        overwrite: bool = True,
        allow_existing: bool = True,
        warn_existing: bool = False,
        reload: bool = True,
    ) -> None:
        """Adds embeddings; kept by the store when this returns.

        Args:
            embeddings: ``(n, d)``, anything array-like.
            sample_ids: ``n`` sample ids.
            label_ids: ``n`` label ids, for an index of patches.
            overwrite: replace what is there; otherwise it stays as it is.
            allow_existing: whether ids may be there already, where they are not overwritten.
            warn_existing: log how many were left as they are.
            reload: refresh the current view.

        Raises:
            InvalidInputError: an argument is unusable, or an id is there and may not be; nothing
                was written.
            BackendError: the store failed.
        """
        ids, samples = self._record_ids(sample_ids, label_ids)
        rows = list(range(len(ids)))
        if not overwrite:
            rows = self._absent_rows(ids, allow_existing, warn_existing)
        if not rows:
            return
        whole = len(rows) == len(ids)
        vectors = embeddings if whole else np.asarray(embeddings)[rows]
        self._upsert([ids[row] for row in rows], vectors, [samples[row] for row in rows])
        if self.config.embeddings_field is not None:
            self._write_field([samples[row] for row in rows], [ids[row] for row in rows], vectors)
        self._changed(reload)

    def remove_from_index(
        self,
        sample_ids: Any = None,
        label_ids: Any = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
        reload: bool = True,
    ) -> None:
        """Removes records; in an index of patches, a sample's id stands for all its labels.

        Args:
            sample_ids: ids of samples.
            label_ids: ids of labels.
            allow_missing: whether ids may be absent.
            warn_missing: log how many were.
            reload: refresh the current view.

        Raises:
            InvalidArgumentError: an id is absent and may not be; nothing was removed.
        """
        ids = [
            *self._known_ids(label_ids, True, allow_missing, warn_missing),
            *self._known_ids(sample_ids, False, allow_missing, warn_missing),
        ]
        if not ids:
            return
        self.index.delete(ids)
        field, patches = self.config.embeddings_field, self.config.patches_field
        if field is not None:
            keys = {"label_ids": ids} if patches is not None else {"sample_ids": ids}
            fbu.remove_embeddings(self._samples, field, patches_field=patches, **keys)
        self._changed(reload)

    def get_embeddings(
        self,
        sample_ids: Any = None,
        label_ids: Any = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
    ) -> tuple[Any, Any, Any]:
        """The stored vectors of some samples or labels, or of all.

        Args:
            sample_ids: one id or several.
            label_ids: likewise, for an index of patches; sample ids are then ignored.
            allow_missing: whether ids may be absent.
            warn_missing: log how many were.

        Returns:
            ``(n, d)`` float32, ``n`` sample ids, and ``n`` label ids or ``None``.

        Raises:
            InvalidArgumentError: an id is absent and may not be.
        """
        if label_ids is not None and sample_ids is not None:
            logger.warning("Ignoring sample IDs when label IDs are provided")
        if label_ids is not None:
            ids = self._known_ids(label_ids, True, allow_missing, warn_missing)
        elif sample_ids is not None:
            ids = self._known_ids(sample_ids, False, allow_missing, warn_missing)
        else:
            return self._all_embeddings()
        if not ids and self._handle.find() is None:
            return np.empty((0, 0), dtype=np.float32), *self._id_arrays([], [])
        records = self.index.fetch(ids)
        samples = records.fields.get(SAMPLE_ID, records.ids)
        return records.vectors, *self._id_arrays(samples, records.ids)

    def _all_embeddings(self) -> tuple[Any, Any, Any]:
        records = read_all(self._handle.find())
        return records.vectors, *self._id_arrays(records.fields[SAMPLE_ID], records.ids)

    def use_view(self, *args: Any, **kwargs: Any) -> Any:
        """Restricts the index to a view; see FiftyOne's documentation."""
        self._neighbors.forget_view()
        return super().use_view(*args, **kwargs)

    def reload(self) -> None:
        """Reads afresh what other processes may have changed."""
        self._handle.forget()
        self._neighbors.forget()
        super().reload()

    def cleanup(self) -> None:
        """Deletes the index from the store; the run stays, and can be added to again."""
        self._handle.drop()
        self._changed(reload=True)

    def delete(self) -> None:
        """Deletes the index from the store, and its run from the dataset."""
        self.cleanup()
        if self.key is not None:
            self.samples._root_dataset.delete_brain_run(self.key)

    def sort_by_similarity(
        self,
        query: Any,
        k: int | None = None,
        reverse: bool = False,
        aggregation: str = "mean",
        dist_field: str | None = None,
        _mongo: bool = False,
    ) -> Any:
        """A view that is sorted by distance to the query; see FiftyOne's documentation.

        ``dist_field`` holds vecbridge's distance: it ascends from the nearest, for every metric.
        """
        if dist_field is None:
            return super().sort_by_similarity(
                query, k=k, reverse=reverse, aggregation=aggregation, _mongo=_mongo
            )
        answer = self._kneighbors(
            query=self._parse_query(query),
            k=k,
            reverse=reverse,
            aggregation=aggregation,
            return_dists=True,
        )
        found = sorting.Found(*answer)
        sorting.write_distances(self.view, self.config.patches_field, dist_field, found)
        stages = sorting.stages(self.view, self.config.patches_field, found, everything=k is None)
        return sorting.apply(self.view, stages, as_pipeline=_mongo)

    def _kneighbors(
        self,
        query: Any = None,
        k: int | None = None,
        reverse: bool = False,
        aggregation: str | None = None,
        return_dists: bool = False,
    ) -> Any:
        """The nearest records of the current view; FiftyOne's documentation gives the formats."""
        return self._neighbors.nearest(query, k, reverse, aggregation, return_dists)

    def _radius_neighbors(
        self, query: Any = None, thresh: float | None = None, return_dists: bool = False
    ) -> Any:
        """The records of the current view within a distance, likewise."""
        return self._neighbors.within_radius(query, thresh, return_dists)

    def _remove_duplicates_thresh(self, thresh: float | None, ids: Sequence[str]) -> list[str]:
        """Ids of the largest set, in order, that are all farther apart than the distance."""
        return duplicates.apart(self._neighbors.pairs(), thresh, ids)

    def _remove_duplicates_count(
        self, num_keep: int, ids: Sequence[str], init_thresh: float | None = None
    ) -> tuple[list[str], float | None]:
        """Ids of about so many that are farthest apart, and how far."""
        if num_keep <= 0 or num_keep >= len(ids):
            return [] if num_keep <= 0 else list(ids), None
        return duplicates.most_apart(self._neighbors.pairs(), num_keep, ids, init_thresh)

    def _sample_ids_of(self, ids: Sequence[str]) -> list[str]:
        """The sample of each record."""
        if self.config.patches_field is None:
            return list(ids)
        if len(ids) <= _FETCH_AT_MOST:
            records = self.index.fetch(ids)
            known = dict(zip(records.ids, map(str, records.fields[SAMPLE_ID]), strict=True))
            return [known.get(name, "") for name in ids]
        table = self._handle.table(fresh=True)
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
        index = self._handle.find()
        there = np.zeros(len(ids), dtype=np.bool_) if index is None else index.contains(ids)
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
        rows = np.asarray(vectors)
        fbu.add_embeddings(self._samples, rows, samples, ids, field, patches_field=patches)

    def _known_ids(
        self, wanted: Any, labels: bool, allow_missing: bool, warn_missing: bool
    ) -> list[str]:
        """The records that are in the index, of the samples or labels that are asked for."""
        if wanted is None:
            return []
        patches = self.config.patches_field is not None
        if labels and not patches:
            raise InvalidArgumentError("this index holds samples, not labels: give sample_ids")
        names = list(dict.fromkeys(map(str, [wanted] if isinstance(wanted, str) else wanted)))
        if patches and not labels:
            table = self._handle.table(fresh=True)
            found = table.of_samples(set(names))
            missing = set(names).difference(table.sample_ids)
        else:
            index = self._handle.find()
            there = np.zeros(len(names), np.bool_) if index is None else index.contains(names)
            found = [name for name, good in zip(names, there, strict=True) if good]
            missing = set(names).difference(found)
        self._report_missing(missing, allow_missing, warn_missing)
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

    def _changed(self, reload: bool) -> None:
        self._handle.written()
        self._neighbors.forget()
        if reload:
            super().reload()
