"""Making a similarity index, and registering its run once it is complete."""

from __future__ import annotations

from typing import Any, ClassVar

from fiftyone.brain.similarity import Similarity

from vecbridge.fiftyone import _embedding as embedding
from vecbridge.fiftyone._config import BackendSimilarityConfig, setting_names
from vecbridge.fiftyone._embedding import Attempt, PartSizes
from vecbridge.fiftyone._index import BackendSimilarityIndex


class BackendSimilarity(Similarity):  # type: ignore[misc]
    """Make similarity indexes in a vecbridge backend.

    FiftyOne registers a run before it computes anything, so that a failure leaves a run without
    results, which cannot be loaded and which holds its key. Here the run is registered when its
    results are saved: a failed ``compute_similarity`` leaves the dataset as it was.

    Args:
        config: configuration of the runs.
    """

    index_type: ClassVar[type[BackendSimilarityIndex]]
    """The class of the indexes that this makes."""

    part_sizes: ClassVar[PartSizes] = PartSizes()
    """Numbers of samples that are embedded before their embeddings are written."""

    def __init__(self, config: BackendSimilarityConfig) -> None:
        super().__init__(config)
        self._unregistered: str | None = None
        self._attempt: Attempt | None = None

    def ensure_requirements(self) -> None:
        """Import the backend.

        Raises:
            UnknownBackendError: it is not installed.
            MissingDependencyError: a package that it needs is not.
        """
        setting_names(self.config.backend_name)

    def ensure_usage_requirements(self) -> None:
        """Import the backend, as :meth:`ensure_requirements` does."""
        self.ensure_requirements()

    def register_run(
        self, samples: Any, key: str | None, overwrite: bool = True, cleanup: bool = True
    ) -> None:
        """Check the key; the run is registered together with its results.

        Raises:
            ValueError: the key is unusable or taken.
        """
        if key is None:
            return
        self.validate_run(samples, key, overwrite=overwrite)
        self._unregistered = key

    def initialize(self, samples: Any, brain_key: str | None) -> BackendSimilarityIndex:
        """Return an index; one that exists in the backend already is adopted.

        Raises:
            ValueError: ``patches_field`` is no field of labels.
            SchemaMismatchError: the index exists with another metric.
            BackendError: the store cannot be used.
        """
        if self.config.patches_field is not None:
            # FiftyOne would find out at the first query, when the run is saved.
            samples._get_label_field_path(self.config.patches_field, "id")
        self.config.complete()
        self._attempt = Attempt(samples._root_dataset, brain_key, self.config)
        index = self.index_type(samples, self.config, brain_key, backend=self)
        # A store that cannot be used should say so before hours of embedding.
        if index.total_index_size:
            index.look_at_lengths()
        embedding.expect(index, self._attempt, self.part_sizes)
        return index

    @classmethod
    def save_run_results(
        cls,
        samples: Any,
        key: str | None,
        run_results: Any,
        overwrite: bool = True,
        cache: bool = True,
    ) -> None:
        """Save the results of a run, and register the run if that was put off."""
        embedding.forget()
        if run_results is None:
            super().save_run_results(samples, key, run_results, overwrite=overwrite, cache=cache)
            return
        factory = run_results.backend
        if key is not None and factory._unregistered == key:
            factory._unregistered = None
            run_results.config.owner = str(samples._root_dataset._doc.id)
            super(BackendSimilarity, factory).register_run(samples, key, overwrite=False)
        super().save_run_results(samples, key, run_results, overwrite=overwrite, cache=cache)
        if factory._attempt is not None:
            factory._attempt.end()
