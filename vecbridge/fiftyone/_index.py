"""The similarity index of any backend: its records, as FiftyOne sees them."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import numpy as np
from fiftyone.brain.similarity import DuplicatesMixin, SimilarityIndex

from vecbridge._client import Index, Store
from vecbridge._errors import IndexNotFoundError, InvalidArgumentError
from vecbridge.fiftyone import _duplicates as duplicates
from vecbridge.fiftyone import _owning as owning
from vecbridge.fiftyone import _sorting as sorting
from vecbridge.fiftyone._handle import SAMPLE_ID, IndexHandle, read_all
from vecbridge.fiftyone._lengths import Lengths
from vecbridge.fiftyone._neighbors import Neighbors
from vecbridge.fiftyone._views import ViewsByThread

logger = logging.getLogger(__name__)


class BackendSimilarityIndex(ViewsByThread, DuplicatesMixin):  # type: ignore[misc]
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
        self._begin_views(samples)
        self._lengths = Lengths()
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
        return np.array(self._table().sample_ids, dtype=np.str_)

    @property
    def label_ids(self) -> Any:
        """Label ids of the whole index, in order; ``None`` where samples are indexed."""
        if self.config.patches_field is None:
            return None
        return np.array(self._table().ids, dtype=np.str_)

    @property
    def index_size(self) -> int:
        """The number of records in the current view; of all, counted afresh, without one."""
        size: int = super().index_size if self.has_view else self.total_index_size
        return size

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
        owning.refuse_foreign(*self._owner_facts, "add to the index")
        whole = len(rows) == len(ids)
        vectors = embeddings if whole else np.asarray(embeddings)[rows]
        self._upsert([ids[row] for row in rows], vectors, [samples[row] for row in rows])
        if self.config.metric == "dotproduct":
            self._lengths.look_at(vectors, self.config.collection_name)
        if self.config.embeddings_field is not None and not self._here.field_is_source:
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
        owning.refuse_foreign(*self._owner_facts, "remove from the index")
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
        if label_ids is None and sample_ids is None:
            return self._all_embeddings()
        wanted = sample_ids if label_ids is None else label_ids
        ids = self._named(wanted, label_ids is not None, allow_missing, warn_missing)
        index = self._handle.find()
        if index is None:
            self._report_missing(set(ids), allow_missing, warn_missing)
            return np.empty((0, 0), dtype=np.float32), *self._id_arrays([], [])
        records = index.fetch(ids)
        self._report_missing(set(records.missing), allow_missing, warn_missing)
        samples = records.fields.get(SAMPLE_ID, records.ids)
        return records.vectors, *self._id_arrays(samples, records.ids)

    def _all_embeddings(self) -> tuple[Any, Any, Any]:
        records = read_all(self._handle.find())
        return records.vectors, *self._id_arrays(records.fields[SAMPLE_ID], records.ids)

    def reload(self) -> None:
        """Reads afresh what other processes may have changed."""
        self._handle.forget()
        self._changed(reload=True)

    def cleanup(self) -> None:
        """Deletes the index from the store; the run stays, and can be added to again.

        Raises:
            InvalidArgumentError: the index is another run's, or another one refers to it.
        """
        owning.refuse_shared(*self._owner_facts, "delete the index")
        self._handle.drop()
        self._changed(reload=True)

    def delete(self) -> None:
        """Deletes the index from the store, and its run from the dataset."""
        self.cleanup()
        if self.key is not None:
            self.samples._root_dataset.delete_brain_run(self.key)

    @property
    def _owner_facts(self) -> tuple[Any, Any, str | None]:
        return self.config, self._samples._root_dataset, self.key

    def detach(self) -> str:
        """Gives the run an index of its own: a copy, in the same store, of what it reads.

        For a clone of a dataset, whose runs read the original's indexes.

        Returns:
            The name of the copy.

        Raises:
            InvalidArgumentError: the index is no saved run's.
            IndexNotFoundError: there is no index.
            BackendError: the store failed; the run is what it was.
        """
        return owning.detach(self)

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
        if thresh is None or math.isnan(thresh):
            raise InvalidArgumentError(
                "give thresh, the distance within which samples are duplicates, or fraction, how "
                "many of them are"
            )
        if self.config.metric == "dotproduct" and thresh >= 0:
            raise InvalidArgumentError(
                f"thresh={thresh} says nothing with the metric dotproduct, whose distance is the "
                f"negated product: it is below 0 for all that are alike, and falls with their "
                f"length. Give fraction instead, or compute the similarity with "
                f'metric="cosine", where duplicates are near 0'
            )
        return duplicates.apart(self._neighbors.pairs(ids), thresh, ids)

    def _remove_duplicates_count(
        self, num_keep: int, ids: Sequence[str], init_thresh: float | None = None
    ) -> tuple[list[str], float | None]:
        """Ids of about so many that are farthest apart, and how far."""
        if num_keep <= 0 or num_keep >= len(ids):
            return [] if num_keep <= 0 else list(ids), None
        return duplicates.most_apart(self._neighbors.pairs(ids), num_keep, ids, init_thresh)

    def _changed(self, reload: bool) -> None:
        self._neighbors.forget()
        if reload:
            self._views_changed()
            super().reload()
