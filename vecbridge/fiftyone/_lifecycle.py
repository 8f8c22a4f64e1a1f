"""Keep an index in step with its dataset, copy it and move it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import ExitStack
from typing import Any

from vecbridge import InvalidArgumentError
from vecbridge.fiftyone import _ownership as ownership
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._embedder import LOADING
from vecbridge.fiftyone._moving import Moved, move
from vecbridge.fiftyone._progress import progress_bars
from vecbridge.fiftyone._run_index import IndexResolver, detach
from vecbridge.fiftyone._sync import Sync, SyncPlan
from vecbridge.fiftyone._views import ThreadViews
from vecbridge.transfer import Progress


class Lifecycle(ThreadViews):
    """The operations on a whole index that outlive the process which began them."""

    _resolver: IndexResolver

    def detach(self) -> str:
        """Give the run an index of its own: a copy, in the same store, of the one that it reads.

        Use it for a clone of a dataset, whose runs read the original's indexes.

        Returns:
            The name of the copy.

        Raises:
            InvalidArgumentError: the index does not belong to a saved run.
            IndexNotFoundError: the index does not exist.
            BackendError: the store failed; the run was left unchanged.
        """
        name = detach(*self._owner_facts, self._resolver, self.save_config)
        self.reload()
        return name

    def sync(
        self,
        samples: Any = None,
        *,
        model: Any = None,
        unknown: bool = False,
        create: bool = False,
        dry_run: bool = False,
        confirm: Callable[[SyncPlan], bool] | None = None,
        progress: Progress | bool | None = None,
        **asked: Any,
    ) -> SyncPlan:
        """Bring the index in step with its dataset: add what is new, remove what is gone.

        A record has changed if the field that the run names holds a different embedding of it, bit
        for bit; that embedding is then used. It has also changed if a model embedded it and the
        media file now has another path, size or modification time, or the patch another outline; it
        is then embedded again. What a model embedded is recorded by recent versions of vecbridge;
        for older records it is ``unknown``.

        A call that is interrupted, even by a kill, keeps what it has written; repeat it to continue
        from there. Memory holds the ids of all records and the embeddings of a part.

        Args:
            samples: what should be indexed; the whole dataset by default, or in a grouped dataset
                the slices that the index has. Records of other samples that the dataset has stay.
            model: embeds what no field holds; by default the run's, which is kept with it where it
                is one of a zoo.
            unknown: also embed again the records for which it is unknown whether they have changed.
            create: create the index if it does not exist.
            dry_run: change nothing, and return the plan.
            confirm: called with the plan before anything is changed; nothing is changed unless it
                returns ``True``.
            progress: called after each part with stage, done and total; or whether bars are shown,
                by default as FiftyOne is configured to.
            asked: ``batch_size``, ``num_workers``, ``skip_failures``, ``force_square`` and
                ``alpha``, as for ``compute_similarity``, which does not keep them with the run.

        Returns:
            The plan, with what failed.

        Raises:
            InvalidArgumentError: the index is another run's, none of its records belongs to the
                dataset, or the samples are not its; nothing was changed.
            IndexNotFoundError: the index does not exist, and ``create`` is ``False``.
            DimensionError: the field holds embeddings of another length; nothing was changed.
            BackendError: the store failed; call again to go on.
        """
        if unexpected := sorted(asked.keys() - set(LOADING) - {"force_square", "alpha"}):
            raise TypeError(f"sync() got an unexpected argument {unexpected[0]!r}")
        load = (lambda: model or self.get_model()) if self._has_model(model) else None
        syncing = Sync(
            self.config,
            self._records,
            self._samples,
            samples,
            create=create,
            model=load,
            asked=asked,
            sizes=(self.backend or self.config.build()).part_sizes,
        )
        with ExitStack() as stack:
            if not callable(progress):
                progress = stack.enter_context(progress_bars(shown=progress))
            plan = syncing.plan(unknown=unknown, progress=progress)
            if dry_run or (confirm is not None and not confirm(plan)):
                return plan
            ownership.refuse_foreign(*self._owner_facts, "sync the index")
            try:
                return syncing.run(plan, progress)
            finally:
                self._changed(reload=True)

    def _has_model(self, given: Any) -> bool:
        return any(each is not None for each in (given, self._model, self.config.model))

    def move_to(
        self,
        backend: str,
        *,
        drop_source: bool = False,
        executor: Executor | None = None,
        progress: Progress | bool | None = None,
        **options: Any,
    ) -> Moved:
        """Move the run to another store, under its key; this object then uses the index there.

        See :func:`vecbridge.fiftyone.move`.

        Args:
            backend: the backend that it moves to.
            drop_source: drop the earlier index at the end.
            executor: where the index is copied, as for :func:`vecbridge.transfer.copy`.
            progress: called after each batch; or whether bars are shown, by default as FiftyOne is
                configured to.
            options: settings of the store that it moves to.

        Raises:
            InvalidArgumentError: the index is of no saved run, or it cannot move there; nothing was
                changed.
            BackendError: a store failed; repeat the call to continue.
        """
        _, dataset, key = self._owner_facts
        if key is None or not dataset.has_brain_run(key):
            raise InvalidArgumentError("only the index of a saved run can move")
        # The settings that it is found with hold in this process from here on.
        self._resolver.require()
        with ExitStack() as stack:
            if not callable(progress):
                progress = stack.enter_context(progress_bars(shown=progress))
            done = move(
                dataset,
                key,
                backend,
                drop_source=drop_source,
                executor=executor,
                progress=progress,
                **options,
            )
        # Left as it is, this object would write to an index that has no run any more.
        moved = dataset.load_brain_results(key, **options)
        self.__class__, self.__dict__ = type(moved), moved.__dict__
        return done

    @property
    def _owner_facts(self) -> tuple[BackendSimilarityConfig, Any, str | None]:
        return self.config, self._samples._root_dataset, self.key

    def _changed(self, reload: bool) -> None:
        raise NotImplementedError
