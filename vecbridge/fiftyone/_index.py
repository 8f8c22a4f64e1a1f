"""The similarity index of any backend, as FiftyOne uses it."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from fiftyone.brain.similarity import DuplicatesMixin

from vecbridge import Index, IndexNotFoundError, Store
from vecbridge.fiftyone import _ownership as ownership
from vecbridge.fiftyone._all_pairs import AllPairs
from vecbridge.fiftyone._collections import refuse_uneven_rows
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._lifecycle import Lifecycle
from vecbridge.fiftyone._queries import Queries
from vecbridge.fiftyone._records import StoredRecords, report_missing
from vecbridge.fiftyone._run_index import IndexResolver
from vecbridge.fiftyone._views import Ranking, sorted_view, write_distances

logger = logging.getLogger(__name__)


class BackendSimilarityIndex(Lifecycle, DuplicatesMixin):  # type: ignore[misc]
    """A FiftyOne similarity index in a vecbridge backend.

    A record's id is its label's for patches and its sample's otherwise; the field ``sample_id``
    holds the sample's. Distances are vecbridge's: lower is nearer, for every metric.

    Args:
        samples: the collection that is indexed.
        config: its configuration.
        brain_key: key of its run.
        backend: the factory that made it, if one did.
    """

    def __init__(
        self,
        samples: Any,
        config: BackendSimilarityConfig,
        brain_key: str | None,
        backend: Any = None,
    ) -> None:
        self._resolver = IndexResolver(config)
        self._records = StoredRecords(samples, config, self._resolver)
        self._queries = Queries(self._records)
        self._all_pairs = AllPairs(self._records)
        Lifecycle.__init__(self, samples, config, brain_key, backend)
        DuplicatesMixin.__init__(self)

    @classmethod
    def _from_dict(cls, _: Any, samples: Any, config: Any, brain_key: str) -> Any:
        return cls(samples, config, brain_key)

    @property
    def records(self) -> StoredRecords:
        """The records of the index; no attribute, since FiftyOne would store it."""
        return self._records

    @property
    def store(self) -> Store:
        """The store of the index."""
        return self._resolver.store

    @property
    def index(self) -> Index:
        """The index in the store.

        Raises:
            IndexNotFoundError: it does not exist.
        """
        return self._resolver.require()

    @property
    def collection(self) -> Any:
        """The store's own object for the index, or ``None`` where it does not exist."""
        index = self._resolver.find()
        return None if index is None else index.engine

    @property
    def client(self) -> Any:
        """The store's own client, or its backend where it has none."""
        backend = self.store.backend
        return getattr(backend, "client", backend)

    @property
    def total_index_size(self) -> int:
        """The number of records; 0 where the index does not exist."""
        index = self._resolver.find()
        if index is None:
            self._resolver.report_lost()
            return 0
        try:
            return index.count()
        except IndexNotFoundError:
            self._resolver.forget()
            return 0

    @property
    def sample_ids(self) -> Any:
        """Sample ids of the whole index, in order of the records' ids."""
        return np.array(list(self._records.sample_ids().values()), dtype=np.str_)

    @property
    def label_ids(self) -> Any:
        """Label ids of the whole index, in order; ``None`` where samples are indexed."""
        if self.config.patches_field is None:
            return None
        return np.array(list(self._records.sample_ids()), dtype=np.str_)

    @property
    def index_size(self) -> int:
        """The number of records in the current view; of all records, counted now, without one."""
        size: int = super().index_size if self.has_view else self.total_index_size
        return size

    def is_embedded_by(self, model: Any) -> bool:
        """Return whether ``compute_similarity`` embeds with this model for the index."""
        return model is self._model

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
        """Add embeddings; the store has them when this returns.

        Args:
            embeddings: ``(n, d)``, anything array-like.
            sample_ids: ``n`` sample ids.
            label_ids: ``n`` label ids, for an index of patches.
            overwrite: replace existing records; otherwise they stay as they are.
            allow_existing: whether ids may exist already, if they are not overwritten.
            warn_existing: log how many were left as they are.
            reload: refresh the current view.

        Raises:
            InvalidInputError: an argument is unusable, or an id exists and may not; nothing was
                written.
            BackendError: the store failed.
        """
        ids, samples = self._records.record_ids(sample_ids, label_ids)
        refuse_uneven_rows(ids, embeddings)
        if not overwrite:
            rows = self._records.absent_rows(ids, allow_existing, warn_existing)
            if len(rows) < len(ids):
                embeddings = np.asarray(embeddings)[rows]
                ids, samples = [ids[row] for row in rows], [samples[row] for row in rows]
        self._add(ids, embeddings, samples, write_field=True)
        if ids:
            self._changed(reload)

    def add_computed(
        self,
        embeddings: Any,
        sample_ids: Any,
        label_ids: Any,
        *,
        write_field: bool,
        sources: Mapping[str, str] | None = None,
    ) -> None:
        """Add embeddings of an embedding step, and replace what is there.

        The current view is not refreshed.

        Args:
            embeddings: ``(n, d)``.
            sample_ids: ``n`` sample ids.
            label_ids: ``n`` label ids, for an index of patches.
            write_field: write them to the dataset's field too, where the configuration names one.
                ``False`` for those that were read from it.
            sources: digests of what was embedded, by the record's id.
        """
        ids, samples = self._records.record_ids(sample_ids, label_ids)
        self._add(ids, embeddings, samples, sources, write_field=write_field)
        self._changed(reload=False)

    def _add(
        self,
        ids: list[str],
        vectors: Any,
        samples: list[str],
        sources: Mapping[str, str] | None = None,
        *,
        write_field: bool,
    ) -> None:
        if not ids:
            return
        ownership.refuse_foreign(*self._owner_facts, "add to the index")
        self._records.upsert(ids, vectors, samples, sources)
        if write_field and self.config.embeddings_field is not None:
            self._records.write_field(samples, ids, vectors)

    def remove_from_index(
        self,
        sample_ids: Any = None,
        label_ids: Any = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
        reload: bool = True,
    ) -> None:
        """Remove records; in an index of patches, a sample's id stands for all its labels.

        Args:
            sample_ids: ids of samples.
            label_ids: ids of labels.
            allow_missing: whether ids may be absent.
            warn_missing: log how many were.
            reload: refresh the current view.

        Raises:
            InvalidArgumentError: an id is absent but must exist; nothing was removed.
        """
        ids = [
            *self._records.known(label_ids, True, allow_missing, warn_missing),
            *self._records.known(sample_ids, False, allow_missing, warn_missing),
        ]
        if not ids:
            return
        ownership.refuse_foreign(*self._owner_facts, "remove from the index")
        self.index.delete(ids)
        if self.config.embeddings_field is not None:
            self._records.clear_field(ids)
        self._changed(reload)

    def get_embeddings(
        self,
        sample_ids: Any = None,
        label_ids: Any = None,
        allow_missing: bool = True,
        warn_missing: bool = False,
    ) -> tuple[Any, Any, Any]:
        """Return the stored vectors of some samples or labels, or of all.

        Args:
            sample_ids: one id or several.
            label_ids: one id or several, for an index of patches; sample ids are then ignored.
            allow_missing: whether ids may be absent.
            warn_missing: log how many were.

        Returns:
            ``(n, d)`` float32, ``n`` sample ids, and ``n`` label ids or ``None``.

        Raises:
            InvalidArgumentError: an id is absent and may not be.
        """
        if label_ids is not None and sample_ids is not None:
            logger.warning("Ignoring sample IDs when label IDs are provided")
        wanted, ids = (sample_ids if label_ids is None else label_ids), None
        if wanted is not None:
            ids = self._records.named(wanted, label_ids is not None, allow_missing, warn_missing)
        vectors, missing, samples, labels = self._records.embeddings(ids)
        report_missing(missing, allow_missing, warn_missing)
        return vectors, samples, labels

    def reload(self) -> None:
        """Read again what other processes may have changed."""
        self._resolver.forget()
        self._changed(reload=True)

    def cleanup(self) -> None:
        """Delete the index from the store; the run stays, and can be added to again.

        Raises:
            InvalidArgumentError: the index is another run's, or another one refers to it.
        """
        ownership.refuse_shared(*self._owner_facts, "delete the index")
        self._resolver.drop()
        self._changed(reload=True)

    def delete(self) -> None:
        """Delete the index from the store, and its run from the dataset."""
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
        """Return a view that is sorted by distance to the query; see FiftyOne's documentation.

        ``dist_field`` holds vecbridge's distance: it ascends from the nearest, for every metric.
        """
        parsed, patches = self._parse_query(query), self.config.patches_field
        ranking = Ranking(*self._kneighbors(parsed, k, reverse, aggregation, return_dists=True))
        if dist_field is not None:
            write_distances(self.view, patches, dist_field, ranking)
        return sorted_view(self.view, patches, ranking, ranks_all=k is None, as_pipeline=_mongo)

    def _kneighbors(
        self,
        query: Any = None,
        k: int | None = None,
        reverse: bool = False,
        aggregation: str | None = None,
        return_dists: bool = False,
    ) -> Any:
        """Return the nearest records of the current view, in the formats of FiftyOne's class."""
        if query is None:
            ids = self._current_ids()
            return self._all_pairs.nearest(ids, k, reverse=reverse, return_dists=return_dists)
        return self._queries.nearest(query, k, self._scope(), reverse, aggregation, return_dists)

    def _radius_neighbors(
        self, query: Any = None, thresh: float | None = None, return_dists: bool = False
    ) -> Any:
        """Return the records of the current view within a distance; ``None`` for all of them."""
        if query is None:
            ids = self._current_ids()
            return self._all_pairs.within_radius(ids, thresh, return_dists=return_dists)
        return self._queries.within_radius(query, thresh, self._scope(), return_dists=return_dists)

    def _remove_duplicates_thresh(self, thresh: float | None, ids: Sequence[str]) -> list[str]:
        """Return the ids of the largest set that are all farther apart than the distance."""
        return self._all_pairs.apart(ids, thresh, self.config.metric)

    def _remove_duplicates_count(
        self, num_keep: int, ids: Sequence[str], init_thresh: float | None = None
    ) -> tuple[list[str], float | None]:
        """Return the ids of about so many that are farthest apart, and how far apart they are."""
        return self._all_pairs.most_apart(ids, num_keep, init_thresh)

    def _changed(self, reload: bool) -> None:
        self._all_pairs.forget()
        if reload:
            self._views_changed()
            super().reload()
