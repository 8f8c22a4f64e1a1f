"""Making a similarity index, and registering its run once it is whole."""

from __future__ import annotations

from typing import Any, ClassVar

from fiftyone.brain.similarity import Similarity

from vecbridge.fiftyone import _embedding as embedding
from vecbridge.fiftyone._settings import setting_names
from vecbridge.fiftyone._unfinished import Attempt


class BackendSimilarity(Similarity):  # type: ignore[misc]
    """Makes similarity indexes in a vecbridge backend.

    FiftyOne registers a run before it computes anything, so that a failure leaves a run without
    results, which nobody can load and which holds its key. Here the run is registered when its
    results are saved: a failed ``compute_similarity`` leaves the dataset as it was.

    Args:
        config: a :class:`~vecbridge.fiftyone._config.BackendSimilarityConfig`.
    """

    index_type: ClassVar[type[Any]]
    """The class of the indexes that this makes."""

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        self._unregistered: str | None = None
        self.attempt: Attempt | None = None

    def ensure_requirements(self) -> None:
        """Imports the backend.

        Raises:
            UnknownBackendError: it is not installed.
            MissingDependencyError: a package that it needs is not.
        """
        setting_names(self.config.backend_name)

    def ensure_usage_requirements(self) -> None:
        """The same as :meth:`ensure_requirements`."""
        self.ensure_requirements()

    def register_run(
        self, samples: Any, key: str | None, overwrite: bool = True, cleanup: bool = True
    ) -> None:
        """Checks the key; the run is registered together with its results.

        Raises:
            ValueError: the key is unusable or taken.
        """
        if key is None:
            return
        self.validate_run(samples, key, overwrite=overwrite)
        self._unregistered = key

    def initialize(self, samples: Any, brain_key: str | None) -> Any:
        """An index, which is adopted where it exists in the backend already.

        Raises:
            ValueError: ``patches_field`` is no field of labels.
            SchemaMismatchError: the index exists with another metric.
            BackendError: the store cannot be used.
        """
        if self.config.patches_field is not None:
            # FiftyOne would find out at the first query, when the run is saved.
            samples._get_label_field_path(self.config.patches_field, "id")
        self.config.complete()
        self.attempt = Attempt(samples._root_dataset, brain_key, self.config)
        index = self.index_type(samples, self.config, brain_key, backend=self)
        # A store that cannot be used should say so before hours of embedding.
        _ = index.total_index_size
        embedding.expect(index)
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
        """Registers the run if that was put off, and saves its results."""
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
        if factory.attempt is not None:
            factory.attempt.end()
