"""A run of vecbridge's moves to another store, under its key.

The index is copied, read back and compared; then the run is switched, in a single write; then the
earlier index is dropped, if that is asked for. What is under way is noted with the dataset until
the end, so that the same call completes what was interrupted anywhere in between.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import eta.core.utils as etau
from fiftyone.core.brain import BrainMethod

from vecbridge import (
    CorruptStoreError,
    Index,
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    Store,
)
from vecbridge.bulk._lending import refuse_to_spread
from vecbridge.fiftyone import _ownership as ownership
from vecbridge.fiftyone._builtin import our_config
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._names import name_for_run
from vecbridge.fiftyone._registration import chosen_backends, config_class
from vecbridge.fiftyone._run_index import Note, swap_store
from vecbridge.fiftyone._runs import dataset_of, refuse_theirs
from vecbridge.fiftyone._stores import PLACES, kept_places
from vecbridge.settings import ResolvedSetting, redacted
from vecbridge.transfer import Progress, copy, silent


@dataclass(frozen=True)
class Moved:
    """The outcome of :func:`move`, or its plan.

    Attributes:
        brain_key: key of the run, which stays.
        source: the backend that it had.
        target: the backend that it has now.
        collection_name: its index in that backend; ``None`` in a plan.
        records: how many the index holds.
        checksum: of what was copied and read back; ``None`` in a plan.
        left: the earlier index, which still exists but no longer has a run.
        left_in: the settings that lead to it if it is in a store on this machine; empty if that is
            configured.
        left_to: other runs that read it, such as those of a clone.
        needed: the settings that another process needs to find the store and does not have, with
            their values where those are no secrets.
        done: ``False`` if only a plan was requested.
    """

    brain_key: str
    source: str
    target: str
    collection_name: str | None
    records: int
    checksum: str | None
    left: str | None
    left_in: Mapping[str, str]
    left_to: tuple[str, ...]
    needed: Mapping[str, str | None]
    done: bool = True


def move(
    dataset: Any,
    brain_key: str,
    to: str,
    *,
    drop_source: bool = False,
    source: Mapping[str, Any] | None = None,
    dry_run: bool = False,
    executor: Executor | None = None,
    progress: Progress = silent,
    **options: Any,
) -> Moved:
    """Move a vecbridge run to another store; its key, fields, model and metric stay.

    The index is copied, read back and compared by count and checksum; then the run is switched, in
    a single write. A call that is interrupted, even by a kill, loses nothing: repeat it to continue
    with the copy, or with what is left to do after it. Until the switch the run is unchanged.

    Args:
        dataset: the dataset, or its name.
        brain_key: key of the run.
        to: the backend to move to.
        drop_source: drop the earlier index at the end; by default it stays where it is.
        source: settings of the store that the run leaves, if they are neither kept with the run nor
            configured.
        dry_run: change nothing, and return what would be done.
        executor: where the index is copied and compared, as for :func:`vecbridge.transfer.copy`.
        progress: called after each batch, or on an executor each partition.
        options: settings of the store that the run moves to, such as ``uri``; those that are left
            out are read from where they are configured.

    Raises:
        InvalidArgumentError: there is no such dataset or run, it is not vecbridge's, it is in that
            store already, the new store is in memory, or the earlier index may not be dropped;
            nothing was changed.
        UnknownBackendError: the backend is not installed.
        UnsupportedError: on an executor, a store is in memory, or the new one has one writer;
            nothing was changed.
        IndexNotFoundError: the run's index does not exist.
        CorruptStoreError: the copy differs from its source; the run was left unchanged.
        BackendError: a store failed; repeat the call to continue.

    Example:
        >>> vecbridge.fiftyone.move("photos", "similar", "milvus", uri="...")  # doctest: +SKIP
    """
    dataset = dataset_of(dataset, brain_key)
    refuse_theirs(BrainMethod.get_run_info(dataset, brain_key).config, brain_key)
    (target,) = chosen_backends(to)
    moving = _Moving(dataset, brain_key, target, options, dict(source or {}), executor, progress)
    return moving.plan() if dry_run else moving.run(drop_source=drop_source)


class _Moving:
    """One run that moves; arguments are those of :func:`move`."""

    def __init__(
        self,
        dataset: Any,
        key: str,
        target: str,
        options: Mapping[str, Any],
        source: Mapping[str, Any],
        executor: Executor | None,
        progress: Progress,
    ) -> None:
        self._dataset = dataset
        self._key = key
        self._source = source
        self._executor = executor
        self._progress = progress
        self._note = Note(dataset, f"vecbridge_moving_{key}")
        self._earlier = self._note.read() or {}
        self._before = self._loaded(source)
        self._to = our_config(self._before, target, options)
        self._store = self._to.connect()
        if self._to.resolved().in_memory:
            raise InvalidArgumentError(
                f"the {target} store is in memory, where no other process finds it: give a path"
            )
        there = self._loaded(options) if self._before.backend_name == target else self._before
        self._is_there = there.connect() is self._store
        if self._is_there:
            self._before = there

    def plan(self) -> Moved:
        """Return what would be done."""
        config = self._before
        self._refuse_same_store()
        count = _opened(config).count()
        return replace(self._moved(count, None, config.collection_name), done=False)

    def run(self, *, drop_source: bool) -> Moved:
        """Move the run, or complete what an earlier call has left to do."""
        if self._is_there and self._earlier.get("collection_name") == self._before.collection_name:
            return self._completed(drop_source=drop_source)
        self._refuse_same_store()
        source = _opened(self._before)
        if self._executor is not None:
            refuse_to_spread(source, self._store)
        if drop_source:
            ownership.refuse_shared(self._before, self._dataset, self._key, "drop the source")
        name = self._name()
        self._note.write(place=self._to.backend_name, collection_name=name, **_facts(self._before))
        checksum = self._copied(source, name)
        self._to.collection_name = name
        swap_store(self._dataset, self._key, self._to)
        left = self._left(self._before, drop_source=drop_source)
        self._note.erase()
        return self._moved(checksum.records, checksum.digest, left)

    def _name(self) -> str:
        """Return the name of the copy, which an interrupted call may have begun."""
        begun = self._earlier.get("collection_name")
        if (
            self._earlier.get("place") == self._to.backend_name
            and begun in self._store.index_names()
        ):
            return str(begun)
        return name_for_run(self._dataset.name, self._key)

    def _copied(self, source: Index, name: str) -> Any:
        copying = partial(
            copy, source, self._store, name, executor=self._executor, progress=self._progress
        )
        try:
            return copying(resume=True).checksum
        except IndexExistsError:
            # The source was written to since the copy was begun, and the copy is ours to drop.
            self._store.drop_index(name)
            return copying().checksum
        except CorruptStoreError:
            _drop(self._store, name)
            self._note.erase()
            raise

    def _completed(self, *, drop_source: bool) -> Moved:
        """Complete a call that was interrupted after it had switched the run."""
        source = _config_of(self._before, self._earlier, self._source)
        self._to = self._before
        left = self._left(source, drop_source=drop_source)
        self._note.erase()
        done = self._moved(_opened(self._before).count(), None, left)
        readers = tuple(ownership.readers_of(source, self._dataset, self._key))
        return replace(done, source=source.backend_name, left_in=_place_of(source), left_to=readers)

    def _loaded(self, options: Mapping[str, Any]) -> BackendSimilarityConfig:
        config: BackendSimilarityConfig = BrainMethod.get_run_info(self._dataset, self._key).config
        config.load_credentials(**options)
        return config

    def _left(self, source: BackendSimilarityConfig, *, drop_source: bool) -> str | None:
        """Drop the earlier index, or look whether it is still there."""
        store, name = source.connect(), source.collection_name or ""
        if drop_source:
            ownership.refuse_shared(source, self._dataset, self._key, "drop the source")
            _drop(store, name)
        return name if name in store.index_names() else None

    def _refuse_same_store(self) -> None:
        if self._is_there:
            raise InvalidArgumentError(
                f"run {self._key!r} of dataset {self._dataset.name!r} is in that store of "
                f"{self._to.backend_name} already; nothing was changed"
            )

    def _moved(self, records: int, digest: str | None, left: str | None) -> Moved:
        return Moved(
            self._key,
            self._before.backend_name,
            self._to.backend_name,
            self._to.collection_name,
            records,
            digest,
            left,
            _place_of(self._before),
            tuple(ownership.readers_of(self._before, self._dataset, self._key)),
            {item.name: _shown(item) for item in self._to.given_here()},
        )


def _opened(config: BackendSimilarityConfig) -> Index:
    if config.collection_name is None:
        raise IndexNotFoundError("the run has no index yet: nothing was added to it")
    return config.connect().open_index(config.collection_name, metric=config.metric)


def _drop(store: Store, name: str) -> None:
    with suppress(IndexNotFoundError):
        store.drop_index(name)


def _shown(item: ResolvedSetting) -> str | None:
    """Return the value of a setting, unless it is a secret or holds one."""
    text = str(item.value)
    return None if item.secret or redacted(text) != text else text


def _place_of(config: BackendSimilarityConfig) -> dict[str, str]:
    """Return the place of a store on this machine."""
    given = config.given
    return {name: str(given[name]) for name in kept_places(given)}


def _facts(config: BackendSimilarityConfig) -> dict[str, Any]:
    """Return what leads to an index again, without the address of a server."""
    names = {"from_backend": config.backend_name, "from_index": config.collection_name}
    return {**names, **config.kept}


def _config_of(
    like: BackendSimilarityConfig, facts: Mapping[str, Any], options: Mapping[str, Any]
) -> BackendSimilarityConfig:
    """Return the configuration of the index that facts lead to."""
    kind: type[BackendSimilarityConfig] = etau.get_class(config_class(facts["from_backend"]))
    places = {name: facts[name] for name in (PLACES | kind.kept_settings) & facts.keys()}
    config = kind(facts["from_index"], like.metric, owner=like.owner, **places)
    config.load_credentials(**options)
    return config
