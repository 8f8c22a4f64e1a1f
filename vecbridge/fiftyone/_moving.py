"""How a run changes sides: opened where it is, copied where it has to be, swapped at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import Any

import eta.core.utils as etau
from fiftyone.core.brain import BrainMethod

from vecbridge._client import Index
from vecbridge._contract._metric import parse_metric
from vecbridge._contract._records import Records
from vecbridge._errors import (
    BackendError,
    CorruptStoreError,
    IndexNotFoundError,
    InvalidArgumentError,
)
from vecbridge.fiftyone import _own as own
from vecbridge.fiftyone import _owning as owning
from vecbridge.fiftyone._adopted import Adopted
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._handle import SAMPLE_ID, unique_name
from vecbridge.fiftyone._naming import config_class
from vecbridge.fiftyone._registration import chosen_backends
from vecbridge.fiftyone._swapping import Copying, swap
from vecbridge.transfer import Progress, checksum
from vecbridge.transfer._checksum import Summing


class Move:
    """One run that changes sides; arguments are those of :func:`adopt`."""

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
        self._copying = Copying(dataset, brain_key)

    def forth(self, dry_run: bool) -> Adopted:
        """From FiftyOne's backend to vecbridge's."""
        source = own.own_backend(self._config)
        if source is None:
            raise InvalidArgumentError(
                f"run {self._key!r} is of backend {self._config.method!r} ({self._config.cls}), "
                f"and not of FiftyOne's own sklearn or Milvus. What is vecbridge's already goes "
                f"to another store with `vecbridge copy`, or back with back=True"
            )
        (target,) = chosen_backends(self._to or source)
        if source == target == "milvus":
            return self._in_place(dry_run)
        config = self._ours(target, None, self._options)
        if source == "milvus":
            # Where it is now is configured; the options lead to where it goes.
            here = self._ours("milvus", self._config.collection_name, {})
            index = _opened(here)
            return self._copied(config, _batches(index), index.count(), source, dry_run)
        index = self._dataset.load_brain_results(self._key, cache=False)
        records = own.records_of(index, self._config.patches_field is not None)
        return self._copied(config, iter([records]), len(records), source, dry_run)

    def back(self, dry_run: bool) -> Adopted:
        """From vecbridge's backend to FiftyOne's."""
        if not isinstance(self._config, BackendSimilarityConfig):
            raise InvalidArgumentError(f"run {self._key!r} is not vecbridge's: nothing to undo")
        source = self._config.backend_name
        target = self._to or ("milvus" if source == "milvus" else "sklearn")
        if target not in {"sklearn", "milvus"}:
            raise InvalidArgumentError("back=True leads to FiftyOne's sklearn or milvus only")
        there = self._options if source == "milvus" or target == "sklearn" else {}
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
        if target == "milvus":
            return self._back_to_milvus(index, report, dry_run)
        if not dry_run:
            made = own.in_sklearn(self._dataset, self._key, self._config, _batches(index))
            swap(self._dataset, self._key, made)
        return report(collection_name=None, in_place=False, left=index.info.name)

    def _back_to_milvus(
        self, index: Index, report: Callable[..., Adopted], dry_run: bool
    ) -> Adopted:
        name, count = index.info.name, index.count()
        arguments = self._dataset, self._key, self._config, self._options
        if self._config.backend_name == "milvus":
            made = own.in_milvus(*arguments, name)
            if own.can_be_in_place(made):
                if not dry_run:
                    # FiftyOne's own adapter would take another run's records for its own.
                    owning.refuse_foreign(self._config, self._dataset, self._key, "give it back")
                    swap(self._dataset, self._key, made)
                return report(collection_name=name, in_place=True)
        copied = None
        if not dry_run:
            made = own.in_milvus(*arguments, None)
            place, copied = "FiftyOne's milvus", made.config.collection_name
            with self._copying.making(place, copied, lambda _: made.cleanup()):
                own.fill(made, _batches(index))
                if made.total_index_size != count:
                    raise _different("milvus", count, made.total_index_size)
                swap(self._dataset, self._key, made)
        return report(collection_name=copied, in_place=False, left=name)

    def _in_place(self, dry_run: bool) -> Adopted:
        config = self._ours("milvus", self._config.collection_name, self._options)
        index, mended = _opened(config), 0
        if not dry_run:
            mend = getattr(index.engine, "mend_duplicates", None)
            if mend is not None and not owning.is_foreign(config, self._dataset, self._key):
                mended = mend()
            swap(self._dataset, self._key, self._made(config))
        return Adopted(
            self._key,
            "FiftyOne's milvus",
            "vecbridge's milvus",
            config.collection_name,
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
        name = unique_name(self._dataset.name, self._key)
        left = getattr(self._config, "collection_name", None)
        if not dry_run:
            self._copying.clear(target, lambda earlier: _drop(config, earlier))
            config.collection_name = name
            with self._copying.making(target, name, lambda made: _drop(config, made)):
                self._send(config, batches, count)
                swap(self._dataset, self._key, self._made(config))
            left = self._left(left)
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

    def _left(self, name: str | None) -> str | None:
        """The collection of FiftyOne's Milvus that the run had, where it is still there."""
        if name is None:
            return None
        try:
            there = self._ours("milvus", name, {}).connect().index_names()
        except BackendError:
            # The run is switched, and was read from there a moment ago.
            return name
        return name if name in there else None

    def _send(
        self, config: BackendSimilarityConfig, batches: Iterator[Records], count: int
    ) -> None:
        first = next(batches, None)
        if first is None:
            return
        index = config.connect().create_index(
            config.collection_name or "",
            dimension=first.vectors.shape[1],
            metric=parse_metric(config.metric),
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

    def _ours(
        self, backend: str, name: str | None, options: Mapping[str, Any]
    ) -> BackendSimilarityConfig:
        kind = etau.get_class(config_class(backend))
        config: BackendSimilarityConfig = kind(
            collection_name=name,
            metric=self._config.metric,
            consistency_level=getattr(self._config, "consistency_level", None),
            **own.kept(self._config),
            **options,
        )
        return config

    def _made(self, config: BackendSimilarityConfig) -> Any:
        factory = config.build()
        return factory.index_type(self._dataset, config, self._key, backend=factory)


def _opened(config: BackendSimilarityConfig) -> Index:
    name = config.collection_name
    if name is None:
        raise IndexNotFoundError("the run has no index yet: nothing was added to it")
    return config.connect().open_index(name, metric=parse_metric(config.metric))


def _batches(index: Index) -> Iterator[Records]:
    for records in index.scan(consistency="strong"):
        samples = [str(name) for name in records.fields.get(SAMPLE_ID, records.ids)]
        yield Records(records.ids, records.vectors, {SAMPLE_ID: samples})


def _drop(config: BackendSimilarityConfig, name: str) -> None:
    try:
        config.connect().drop_index(name)
    except IndexNotFoundError:
        return


def _different(backend: str, sent: int, arrived: int) -> CorruptStoreError:
    return CorruptStoreError(
        f"the copy is not what was copied: {sent:,} records were sent, {arrived:,} are there. Was "
        f"the index written to meanwhile? The run is what it was; the copy is dropped",
        backend=backend,
        operation="adopt",
    )
