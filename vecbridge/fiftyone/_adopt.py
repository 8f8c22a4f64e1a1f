"""Similarity runs of FiftyOne's own backends that become vecbridge's, and go back.

The index of a run is opened where it is and copied if it has to be; the run is swapped at the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import Any

import numpy as np
from fiftyone.core.brain import BrainMethod

from vecbridge import (
    BackendError,
    CorruptStoreError,
    Index,
    IndexNotFoundError,
    InvalidArgumentError,
    Records,
)
from vecbridge.bulk._checksum import Summing
from vecbridge.fiftyone import _builtin as builtin
from vecbridge.fiftyone import _ownership as ownership
from vecbridge.fiftyone._builtin import config_in_place, our_config
from vecbridge.fiftyone._center import (
    CENTERED_AT_MOST,
    is_centered_by_fiftyone,
    less_center,
    with_center,
)
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._names import name_for_run
from vecbridge.fiftyone._registration import chosen_backends
from vecbridge.fiftyone._run_index import SAMPLE_ID, pending_copy, swap, swap_store
from vecbridge.fiftyone._runs import dataset_of
from vecbridge.fiftyone._same_names import SAME_NAMES, adoptable
from vecbridge.transfer import Progress, checksum, silent

_CHANGES = (
    "FiftyOne's sklearn subtracts the mean of all vectors before it compares them by angle, and "
    "vecbridge ranks the vectors as they were given: neighbours change. To keep FiftyOne's, adopt "
    "with center=True (--center)"
)
_TAKES_NOTHING = (
    "The index is a copy, because nothing could be added to the earlier one as it is given"
)


@dataclass(frozen=True)
class Adopted:
    """The outcome of :func:`adopt`, or its plan.

    Attributes:
        brain_key: key of the run, which stays.
        source: the backend that it had.
        target: the backend that it has now.
        collection_name: the store's name of its index, such as a table; ``None`` in FiftyOne's
            sklearn.
        records: how many the index holds.
        in_place: nothing was copied: the same collection or table is used.
        mended: number of ids that had several rows, of which one was kept.
        left: the earlier index, which still exists but no longer has a run.
        changes: what changes for users of the run; empty if nothing does.
        done: ``False`` if only a plan was requested.
    """

    brain_key: str
    source: str
    target: str
    collection_name: str | None
    records: int
    in_place: bool
    mended: int = 0
    left: str | None = None
    changes: str = ""
    done: bool = True


def adopt(
    dataset: Any,
    brain_key: str,
    to: str | None = None,
    *,
    back: bool = False,
    center: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
    **options: Any,
) -> Adopted:
    """Move a similarity run of one of FiftyOne's own backends to vecbridge, or back.

    The brain key stays, and with it the time of the run, its fields, its model, metric and
    consistency level. A collection or a table that FiftyOne's adapter created is used in place; an
    id with several rows in a Milvus collection keeps one. Other indexes are copied, read back and
    compared. The run changes in one write, at the end: until then, and after a kill, it is
    unchanged.

    Args:
        dataset: the dataset, or its name.
        brain_key: key of the run.
        to: the backend to use; by default the one of the same name. With ``back``, one of
            FiftyOne's own; by default the one of the same name, and ``"sklearn"`` where there is
            none.
        back: give a run of vecbridge's back to FiftyOne's own backend.
        center: keep the neighbours of FiftyOne's sklearn, which subtracts the mean of all vectors
            before it compares them by angle. The mean is kept with the run, and subtracted from
            vectors that are added or searched for later.
        dry_run: change nothing, and return what would be done.
        progress: called after each batch.
        options: settings of the store, such as ``uri``; those that are left out are read from
            where they are configured.

    Returns:
        What was done.

    Raises:
        InvalidArgumentError: there is no such dataset or run, it is of another backend, or FiftyOne
            does not center it.
        UnknownBackendError: the backend is not installed.
        IndexNotFoundError: the run's index does not exist in the store.
        CorruptStoreError: a copy differs from its source; the run is left unchanged.
        BackendError: a store failed; the run is left unchanged.

    Example:
        >>> vecbridge.fiftyone.adopt("photos", "similar", uri="vectors.db")  # doctest: +SKIP
    """
    dataset = dataset_of(dataset, brain_key)
    if back and center:
        raise InvalidArgumentError("center is for a run that becomes vecbridge's, not for back")
    move = _Move(dataset, brain_key, to, options, progress)
    return move.back(dry_run) if back else move.forth(dry_run, center=center)


class _Move:
    """One run that is moved; arguments are those of :func:`adopt`."""

    def __init__(
        self,
        dataset: Any,
        brain_key: str,
        to: str | None,
        options: Mapping[str, Any],
        progress: Progress,
    ) -> None:
        self._dataset = dataset
        self._key = brain_key
        self._to = to
        self._options = options
        self._progress = progress
        self._config = BrainMethod.get_run_info(dataset, brain_key).config

    def forth(self, dry_run: bool, *, center: bool) -> Adopted:
        """Move the run from FiftyOne's backend to vecbridge's."""
        source = builtin.builtin_backend(self._config)
        if source is None:
            raise InvalidArgumentError(
                f"run {self._key!r} is of backend {self._config.method!r} ({self._config.cls}), "
                f"and not of FiftyOne's own {adoptable()}. A run of vecbridge's "
                f"moves to another store with `vecbridge fiftyone move`, or back with back=True"
            )
        (target,) = chosen_backends(self._to or source)
        if center and source != "sklearn":
            raise InvalidArgumentError(f"only FiftyOne's sklearn centers vectors, not its {source}")
        if source == target and source in SAME_NAMES:
            return self._in_place(source, dry_run)
        config = our_config(self._config, target, self._options)
        if source in SAME_NAMES:
            # Where it is now is configured; the options lead to where it goes.
            here = config_in_place(self._config, source, {})
            index = _opened(here)
            return self._copied(config, _batches(index, here), index.count(), source, dry_run)
        index = self._dataset.load_brain_results(self._key, cache=False)
        records = builtin.records_of(index)
        count = len(records)
        is_centered = is_centered_by_fiftyone(config.metric, count)
        if center and not is_centered:
            raise InvalidArgumentError(
                f"FiftyOne does not center this index of {count:,} vectors by {config.metric}: it "
                f"does so up to {CENTERED_AT_MOST:,}, and only by cosine do the neighbours "
                f"differ. Without center (--center) they stay as they are"
            )
        if center:
            config.center = records.vectors.mean(axis=0, dtype=np.float64).tolist()
            records = replace(records, vectors=less_center(config, records.vectors))
        done = self._copied(config, iter([records] if count else []), count, source, dry_run)
        return replace(done, changes=_CHANGES if is_centered and not center else "")

    def back(self, dry_run: bool) -> Adopted:
        """Move the run from vecbridge's backend to FiftyOne's."""
        if not isinstance(self._config, BackendSimilarityConfig):
            raise InvalidArgumentError(f"run {self._key!r} is not vecbridge's: nothing to undo")
        source = self._config.backend_name
        target = self._to or (source if source in builtin.GIVEN_BACK else "sklearn")
        if target not in {"sklearn", *builtin.GIVEN_BACK}:
            raise InvalidArgumentError(
                f"back=True leads to FiftyOne's own {', '.join(('sklearn', *builtin.GIVEN_BACK))}; "
                f"got {target!r}"
            )
        there = self._options if target in {source, "sklearn"} else {}
        self._config.load_credentials(**there)
        index = _opened(self._config)
        report = partial(
            Adopted,
            self._key,
            f"vecbridge's {source}",
            f"FiftyOne's {target}",
            records=index.count(),
            done=not dry_run,
        )
        if target != "sklearn":
            return self._back_to_own(index, target, report, dry_run)
        if not dry_run:
            batches = _batches(index, self._config)
            made = builtin.in_sklearn(self._dataset, self._key, self._config, batches)
            swap(self._dataset, self._key, made)
        return report(collection_name=None, in_place=False, left=index.info.name)

    def _back_to_own(
        self, index: Index, target: str, report: Callable[..., Adopted], dry_run: bool
    ) -> Adopted:
        name, count = self._config.stored_name, index.count()
        arguments = self._dataset, self._key, self._config, target
        options = self._options
        if self._config.backend_name == target:
            options = {**builtin.own_place(self._config), **options}
            made = builtin.in_own(*arguments, options, name)
            if self._config.center is None and builtin.is_of_own(made):
                if not dry_run:
                    # FiftyOne's own adapter would take another run's records for its own.
                    ownership.refuse_foreign(self._config, self._dataset, self._key, "give it back")
                    swap(self._dataset, self._key, made)
                return report(collection_name=name, in_place=True)
        copied = None
        if not dry_run:
            made = builtin.in_own(*arguments, options, None)
            place, copied = f"FiftyOne's {target}", builtin.index_of(made.config) or ""

            def drop(name: str) -> None:
                (made if name == copied else builtin.in_own(*arguments, options, name)).cleanup()

            with pending_copy(self._dataset, self._key, place, copied, drop):
                builtin.fill(made, _batches(index, self._config))
                if made.total_index_size != count:
                    raise _different(target, count, made.total_index_size)
                swap(self._dataset, self._key, made)
        return report(collection_name=copied, in_place=False, left=name)

    def _in_place(self, backend: str, dry_run: bool) -> Adopted:
        config = config_in_place(self._config, backend, self._options)
        index, mended = _opened(config), 0
        if index.info.required or index.info.unwritable:
            fresh = our_config(self._config, backend, self._options)
            batches = _batches(index, config)
            done = self._copied(fresh, batches, index.count(), backend, dry_run)
            return replace(done, changes=_TAKES_NOTHING)
        if not dry_run:
            mend = getattr(index.engine, "mend_duplicates", None)
            if mend is not None and not ownership.is_foreign(config, self._dataset, self._key):
                mended = mend()
            swap_store(self._dataset, self._key, config)
        return Adopted(
            self._key,
            f"FiftyOne's {backend}",
            f"vecbridge's {backend}",
            config.stored_name,
            index.count(),
            in_place=True,
            mended=mended,
            done=not dry_run,
        )

    def _copied(
        self,
        config: BackendSimilarityConfig,
        batches: Iterator[Records],
        count: int,
        source: str,
        dry_run: bool,
    ) -> Adopted:
        target = config.backend_name
        name = name_for_run(self._dataset.name, self._key)
        left = builtin.index_of(self._config)
        if not dry_run:
            drop = config.connect().drop_index
            config.collection_name = name
            with pending_copy(self._dataset, self._key, target, name, drop):
                self._send(config, batches, count)
                swap_store(self._dataset, self._key, config)
            if left is not None and not self._is_left(source, target):
                left = None
        return Adopted(
            self._key,
            f"FiftyOne's {source}",
            f"vecbridge's {target}",
            None if dry_run else name,
            count,
            in_place=False,
            left=left,
            done=not dry_run,
        )

    def _is_left(self, source: str, target: str) -> bool:
        """Return whether the index that the run had in a server still exists."""
        here = config_in_place(self._config, source, self._options if source == target else {})
        try:
            return here.collection_name in here.connect().index_names()
        except BackendError:
            # The run is switched, and was read from there a moment ago.
            return True

    def _send(
        self, config: BackendSimilarityConfig, batches: Iterator[Records], count: int
    ) -> None:
        store = config.connect()
        first = next(batches, None)
        if first is None:
            return
        index = store.create_index(
            config.collection_name or "",
            dimension=first.vectors.shape[1],
            metric=config.metric,
            fields={SAMPLE_ID: "string"},
        )
        read = Summing(index.info.dimension)
        done = 0
        for records in chain([first], batches):
            index.upsert(records.ids, records.vectors, records.fields)
            read.add(records)
            done += len(records)
            self._progress("copying", done, count)
        arrived = checksum(index, progress=self._progress)
        if arrived != read.result():
            raise _different(config.backend_name, done, arrived.records)


def _opened(config: BackendSimilarityConfig) -> Index:
    name = config.collection_name
    if name is None:
        raise IndexNotFoundError("the run has no index yet: nothing was added to it")
    return config.connect().open_index(name, metric=config.metric)


def _batches(index: Index, config: Any) -> Iterator[Records]:
    for records in index.scan(consistency="strong"):
        samples = [str(name) for name in records.fields.get(SAMPLE_ID, records.ids)]
        vectors = with_center(config, records.vectors)
        yield Records(records.ids, vectors, {SAMPLE_ID: samples})


def _different(backend: str, sent: int, arrived: int) -> CorruptStoreError:
    return CorruptStoreError(
        f"the copy differs from the source: {sent:,} records were sent, {arrived:,} arrived. Was "
        f"the source written to meanwhile? The run was left unchanged; the copy is dropped",
        backend=backend,
        operation="adopt",
    )
