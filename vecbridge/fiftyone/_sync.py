"""An index kept in step with its dataset: what differs is planned, and done part by part.

Nothing is kept between the parts. Each is written whole before the next is begun, so that the plan
of a later call holds what an interrupted one has left to do.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import fiftyone.core.media as fom
import numpy as np

from vecbridge import IndexNotFoundError, InvalidArgumentError
from vecbridge.fiftyone._collections import ids_of, ids_within, refuse_uneven_field
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._embedder import Embedder, PartSizes
from vecbridge.fiftyone._media import media_digests
from vecbridge.fiftyone._records import StoredRecords
from vecbridge.transfer import Progress

_REMOVED_AT_ONCE = 10_000
_READ = PartSizes(first=1024)


@dataclass(frozen=True)
class SyncPlan:
    """The difference between a dataset and an index of it, and what was done about it.

    Each tuple holds the ids of records: of labels in an index of patches, else of samples.

    Attributes:
        new: the dataset has them, and the index does not.
        gone: the index has them, and the dataset does not.
        changed: what they were embedded from has changed.
        unknown: it is not known what they were embedded from, and so not whether that has changed.
        without: the dataset has them but no embedding of them, and there is no model.
        failed: they could not be embedded; empty in a plan.
        done: ``False`` for a plan.
    """

    new: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    changed: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    done: bool = False
    read: tuple[str, ...] = field(default=(), repr=False)
    """Those of ``new`` and ``changed`` whose embeddings are read from the dataset's field."""

    def __str__(self) -> str:
        said = {"new": self.new, "gone": self.gone, "changed": self.changed}
        more = {"unknown": self.unknown, "without embedding": self.without, "failed": self.failed}
        said.update({word: ids for word, ids in more.items() if ids})
        return ", ".join(f"{len(ids):,} {word}" for word, ids in said.items())

    @property
    def in_step(self) -> bool:
        """``True`` where there is nothing to do."""
        return not (self.new or self.gone or self.changed)


class Sync:
    """One comparison of an index with its dataset.

    Args:
        config: of the index.
        records: of the index.
        dataset: the collection that the index is of.
        samples: what should be indexed; all of the dataset where it is ``None``.
        create: whether the index may be made.
        model: loads the model that embeds what no field holds; ``None`` where there is none.
        asked: arguments of the embedding, as of ``compute_similarity``.
        sizes: of the parts that are embedded.
    """

    def __init__(
        self,
        config: BackendSimilarityConfig,
        records: StoredRecords,
        dataset: Any,
        samples: Any,
        *,
        create: bool,
        model: Callable[[], Any] | None,
        asked: Mapping[str, Any],
        sizes: PartSizes,
    ) -> None:
        self._config = config
        self._records = records
        self._model = model
        self._sizes = sizes
        self._exists = _exists(records, create=create)
        self._samples = _chosen(config, records, dataset, samples)
        self._patches: str | None = config.patches_field
        self._asked: dict[str, Any] = {
            **asked,
            "patches_field": self._patches or config.roi_field,
            "handle_missing": "skip" if config.roi_field is None else "image",
            "agg_fcn": None if config.roi_field is None else _mean,
        }
        owners, ids = ids_within(self._samples, self._patches)
        self._owners: dict[str, str] = dict(zip(ids.tolist(), owners.tolist(), strict=True))

    def plan(self, *, unknown: bool, progress: Progress) -> SyncPlan:
        """Return what differs; nothing is changed.

        With ``unknown``, records of which it is not known whether they have changed are embedded
        again.

        Raises:
            InvalidArgumentError: no record of the index belongs to the dataset.
            DimensionError: the field holds embeddings of another length.
        """
        sources = self._records.sources() if self._exists else {}
        new = [name for name in self._owners if name not in sources]
        gone = self._records.gone(sources.keys() - self._owners.keys())
        if gone and len(gone) == len(sources) and self._owners:
            raise InvalidArgumentError(
                f"none of the {len(gone):,} records of this index is of a sample that the dataset "
                f"has: it was made of another dataset, or of a view whose ids change, such as "
                f"clips. Nothing was changed. If all those samples are really gone, delete the "
                f"index with cleanup() and make it again with sync(create=True)"
            )
        held, edited = self._compared(set(new), progress)
        rest = [name for name in self._owners if name in sources and name not in edited]
        stale, untold = self._stale(rest, sources)
        untold = [name for name in untold if name not in held]
        if unknown:
            stale, untold = [*stale, *untold], []
        without = [] if self._model else [name for name in new if name not in held]
        return SyncPlan(
            new=tuple(new if self._model else [name for name in new if name in held]),
            gone=tuple(sorted(gone)),
            changed=(*edited, *stale),
            unknown=tuple(untold),
            without=tuple(without),
            read=(*(name for name in new if name in held), *edited),
        )

    def run(self, plan: SyncPlan, progress: Progress) -> SyncPlan:
        """Do what was planned, and return it with what failed."""
        read = set(plan.read)
        embedded = [name for name in (*plan.new, *plan.changed) if name not in read]
        # A model that cannot be loaded should say so before anything is changed.
        model = self._model() if self._model and embedded else None
        written: set[str] = set()
        for vectors, samples, ids, sources in self._parts(
            plan.read, self._reader(), "reading", progress, digested=self._model is not None
        ):
            self._records.upsert(ids, vectors, samples, sources)
            written.update(ids)
        embedder = Embedder(fbu.get_embeddings, self._asked, model, self._sizes)
        for vectors, samples, ids, sources in self._parts(
            embedded, embedder, "embedding", progress, digested=True
        ):
            if self._config.embeddings_field is not None:
                # The field first: if this is interrupted, the next call reads it from there.
                self._records.refuse_dimension(np.shape(vectors))
                self._records.write_field(samples, ids, vectors)
            self._records.upsert(ids, vectors, samples, sources)
            written.update(ids)
        for start in range(0, len(plan.gone), _REMOVED_AT_ONCE):
            part = plan.gone[start : start + _REMOVED_AT_ONCE]
            self._records.index.delete(part)
            progress("removing", start + len(part), len(plan.gone))
        failed = tuple(name for name in (*plan.new, *plan.changed) if name not in written)
        return replace(plan, failed=failed, done=True)

    @property
    def _field(self) -> str | None:
        """The field that embeddings are read from, if the dataset has it."""
        name: str | None = self._config.embeddings_field
        if name is None or self._config.roi_field is not None:
            return None
        return name if fbu._has_embeddings_field(self._samples, name, self._patches) else None

    def _reader(self) -> Embedder:
        asked = {**self._asked, "embeddings_field": self._field}
        return Embedder(fbu.get_embeddings, asked, None, _READ)

    def _compared(self, new: set[str], progress: Progress) -> tuple[set[str], list[str]]:
        """Return the records that the field has an embedding of, and those whose own differs."""
        held: set[str] = set()
        edited: list[str] = []
        if self._field is None:
            return held, edited
        refuse_uneven_field(self._samples, self._field, self._patches)
        everything = list(self._owners)
        for vectors, _, ids, _ in self._parts(everything, self._reader(), "comparing", progress):
            held.update(ids)
            self._records.refuse_dimension(np.shape(vectors))
            there = [row for row, name in enumerate(ids) if name not in new]
            names = [ids[row] for row in there]
            same = self._records.are_same(names, vectors[there])
            edited += [name for name, good in zip(names, same, strict=True) if not good]
        return held, edited

    def _stale(self, ids: list[str], sources: Mapping[str, str]) -> tuple[list[str], list[str]]:
        """Return the records whose media have changed, and those of which it is not known."""
        if self._model is None:
            return [], []
        known = {name for name in ids if sources[name]}
        stale = [
            name
            for part in self._batches(known)
            for name, digest in self._digests(self._samples.select(part)).items()
            if name in known and sources[name] != digest
        ]
        return stale, [name for name in ids if name not in known]

    def _batches(self, ids: set[str]) -> Iterator[list[str]]:
        samples = list(dict.fromkeys(self._owners[name] for name in self._owners if name in ids))
        for start in range(0, len(samples), _READ.largest):
            yield samples[start : start + _READ.largest]

    def _digests(self, view: Any) -> dict[str, str]:
        return media_digests(view, self._patches, self._config.roi_field)

    def _parts(
        self,
        ids: Sequence[str],
        embedder: Embedder,
        stage: str,
        progress: Progress,
        *,
        digested: bool = False,
    ) -> Iterator[tuple[Any, list[str], list[str], dict[str, str]]]:
        """Yield embeddings, sample ids, record ids and digests of the records with some ids."""
        labels: dict[str, list[str]] = {}
        for name in ids:
            labels.setdefault(self._owners[name], []).append(name)
        wanted, samples, done = set(ids), list(labels), 0
        for part in embedder.parts(samples):
            view = self._samples.select(part)
            if self._patches is not None and len(ids) < len(self._owners):
                chosen = [name for sample in part for name in labels[sample]]
                view = view.select_labels(ids=chosen, fields=self._patches)
            # Looked at first: a file that is changed meanwhile has another digest afterwards.
            sources = self._digests(view) if digested else {}
            reached = partial(_reached, progress, stage, done, len(samples))
            vectors, owners, found = embedder.embedded(view, reached)
            done += len(part)
            if len(owners):
                names, of = self._records.record_ids(owners, found)
                rows = [row for row, name in enumerate(names) if name in wanted]
                chosen, of = [names[row] for row in rows], [of[row] for row in rows]
                yield np.asarray(vectors)[rows], of, chosen, sources
            progress(stage, done, len(samples))


def _exists(records: StoredRecords, *, create: bool) -> bool:
    """Return whether there is an index; without one, there has to be leave to make it."""
    try:
        return records.index is not None
    except IndexNotFoundError as error:
        if create:
            return False
        raise IndexNotFoundError(
            f"{error}. To make the index and embed everything, call sync(create=True)"
        ) from None


def _chosen(
    config: BackendSimilarityConfig, records: StoredRecords, dataset: Any, samples: Any
) -> Any:
    """Return what should be indexed: some samples, if they can be, or all of the dataset."""
    if samples is not None:
        if samples._root_dataset is not dataset._root_dataset:
            raise InvalidArgumentError(
                f"the samples are of dataset {samples._root_dataset.name!r}, and the index is of "
                f"{dataset._root_dataset.name!r}"
            )
        if samples._is_clips or (samples._is_patches and config.patches_field is None):
            raise InvalidArgumentError(
                "clips, and the samples of a patches view, cannot be kept in step: their ids are "
                "those of the view. For patches, compute the index with patches_field"
            )
        return samples
    if dataset.media_type != fom.GROUP:
        return dataset
    slices = [
        name
        for name in dataset.group_slices
        if records.are_known(ids_of(dataset.select_group_slices(name))).any()
    ]
    if not slices:
        raise InvalidArgumentError(
            f"the samples are in groups, and the index has none of them yet: say which slices, as "
            f"in sync(dataset.select_group_slices({dataset.default_group_slice!r}))"
        )
    return dataset.select_group_slices(slices, _allow_mixed=True)


def _reached(progress: Progress, stage: str, before: int, total: int, done: int) -> None:
    progress(stage, before + done, total)


def _mean(patches: Any) -> Any:
    return np.mean(patches, axis=0)
