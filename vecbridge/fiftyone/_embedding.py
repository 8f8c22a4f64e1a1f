"""Embeddings written to the store as they are computed, by steps that go on after an interruption.

FiftyOne computes every embedding before it hands the first one over: a million of them is
gigabytes, and nothing is left of hours of work if the process ends. It asks one function for them,
``get_embeddings`` of ``fiftyone.brain.internal.core.utils``, by the name that its similarity module
holds. That name is bound to :class:`Streaming` here, which answers for an index of ours part by
part, and passes every other call on.

An array that the caller gives, which may be on disk, is written in parts too. What an earlier step
has written of it is compared with it, and not written again.

Of an interrupted step, the facts are kept as a run of the dataset (``dataset.list_runs()``), from
the first embedding that is written until the similarity run is registered. They hold no setting of
a backend.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from typing import Any

import fiftyone.brain.internal.core.utils as fbu
import fiftyone.brain.similarity as fbs
import fiftyone.core.utils as fou
import numpy as np
from numpy.typing import NDArray

from vecbridge import IndexNotFoundError
from vecbridge.fiftyone._collections import (
    ids_of,
    ids_within,
    refuse_uneven,
    refuse_uneven_field,
)
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._embedder import PART_BYTES, Embedder, PartSizes
from vecbridge.fiftyone._index import BackendSimilarityIndex
from vecbridge.fiftyone._media import media_digests
from vecbridge.fiftyone._names import name_for_run, unique_name
from vecbridge.fiftyone._run_index import Note

logger = logging.getLogger(__name__)

_UNFINISHED = "vecbridge_unfinished_"


class Attempt:
    """One call of ``compute_similarity``, and what an interrupted earlier one left to it.

    The configuration is given the name of a collection, if it has none.

    Without a key of the similarity run, nothing outlives an interruption.

    Attributes:
        resumed: whether the step goes on with what an earlier one has written.
    """

    def __init__(
        self, dataset: Any, brain_key: str | None, config: BackendSimilarityConfig
    ) -> None:
        self._note = None if brain_key is None else Note(dataset, _UNFINISHED + brain_key)
        self._config = config
        self._step = _step_of(config)
        earlier = None if self._note is None else self._note.read()
        self.resumed = earlier is not None and self._is_same(earlier)
        self._given = None if earlier is None else earlier.get("given")
        self._own_name = config.collection_name is None
        if earlier is not None and self.resumed:
            config.collection_name = earlier["collection_name"]
            self._own_name = earlier["own_name"]
        elif earlier is not None:
            self._discard(earlier)
        if config.collection_name is None:
            # An index without a run is in use for as long as its process lives: no orphan.
            config.collection_name = (
                unique_name(dataset.name, None)
                if brain_key is None
                else name_for_run(dataset.name, brain_key)
            )

    def begin(self, given: int | None, drop: Callable[[], None]) -> None:
        """Keep the facts of the step, in case it is interrupted.

        Args:
            given: the length of the vectors that the caller gives; ``None`` where they are embedded
                or read from a field.
            drop: drops what an earlier step has written, which had others.
        """
        if self.resumed and self._given != given:
            self.resumed = False
            if self._own_name:
                drop()
        if self._note is not None:
            name = self._config.collection_name
            facts = {} if given is None else {"given": given}
            self._note.write(
                collection_name=name, own_name=self._own_name, step=self._step, **facts
            )

    def end(self) -> None:
        """Forget the facts: the step is complete, or left nothing."""
        if self._note is not None:
            self._note.erase()

    def _is_same(self, earlier: dict[str, Any]) -> bool:
        wanted = self._config.collection_name
        return earlier["step"] == self._step and wanted in {None, earlier["collection_name"]}

    def _discard(self, earlier: dict[str, Any]) -> None:
        """Drop what an abandoned step has written, if the index was the step's own."""
        self.end()
        name, backend = earlier["collection_name"], earlier["step"]["backend"]
        wanted = name == self._config.collection_name
        if wanted or not earlier["own_name"] or backend != self._config.backend_name:
            return
        with suppress(IndexNotFoundError):
            self._config.connect().drop_index(name)
            logger.info("Dropped %r, which was left unfinished", name)


class Streaming:
    """FiftyOne's ``get_embeddings``, in parts where an index of ours waits for them."""

    def __init__(self, original: Callable[..., Any]) -> None:
        self._original = original

    def __call__(self, samples: Any, **asked: Any) -> Any:
        """Return the embeddings, or nothing where they are in the index already.

        Raises:
            DimensionError: they are not all of one length; nothing was written.
        """
        expected = _expected.get()
        forget()
        if expected is None or not expected.index.is_embedded_by(asked.get("model")):
            return self._original(samples, **asked)
        if asked.get("embeddings") is not None:
            given, patches = asked["embeddings"], asked.get("patches_field")
            ids = None if patches is not None else _ids_of_rows(samples, given)
            if ids is None:
                refuse_uneven(samples, given, patches)
                return self._original(samples, **asked)
            expected.run_given(ids, given, asked.get("progress"))
        else:
            expected.run(samples, self._original, asked)
        return None, None, None


class _Embedding:
    """One embedding step, for which :meth:`run` is called with what FiftyOne embeds."""

    def __init__(
        self, index: BackendSimilarityIndex, attempt: Attempt, part_sizes: PartSizes
    ) -> None:
        self.index = index
        self._attempt = attempt
        self._sizes = part_sizes
        self._samples: Any = None
        self._embedder: Embedder
        self._from_field = False

    def run(self, samples: Any, original: Callable[..., Any], asked: dict[str, Any]) -> None:
        """Embed what the index lacks, and add it, part by part.

        ``original`` is FiftyOne's ``get_embeddings``, and ``asked`` what it was called with.
        """
        asked = dict(asked)
        progress, model = asked.pop("progress", None), asked.pop("model", None)
        self._embedder = Embedder(original, asked, model, self._sizes)
        # FiftyOne names the field only where the vectors are read from it.
        self._from_field = asked.get("embeddings_field") is not None
        self._samples, ids = samples, ids_of(samples)
        field, patches = asked.get("embeddings_field"), asked.get("patches_field")
        if field is not None and fbu._has_embeddings_field(samples, field, patches):
            refuse_uneven_field(samples, field, patches)
        self._attempt.begin(None, self.index.cleanup)
        if self._attempt.resumed:
            ids = self._lacking(ids)
        logger.info("Computing embeddings...")
        with self._writing(len(ids), progress) as bar:
            for part in self._embedder.parts(ids):
                self._add(part, bar)

    def run_given(self, ids: list[str], vectors: NDArray[Any], progress: Any) -> None:
        """Add vectors, ``(n, d)``, one per id of a sample, part by part."""
        self._attempt.begin(vectors.shape[1], self.index.cleanup)
        with self._writing(len(ids), progress) as bar:
            for start, stop in _parts(vectors, self._sizes.largest):
                self._add_given(ids[start:stop], vectors[start:stop])
                bar.set_iteration(stop)

    @contextmanager
    def _writing(self, count: int, progress: Any) -> Iterator[Any]:
        """Show progress; where the block fails, say what is kept, and forget the step if none."""
        try:
            with fou.ProgressBar(total=count, progress=progress) as bar:
                yield bar
        except BaseException:
            kept = self.index.total_index_size
            if not kept:
                self._attempt.end()
            elif self.index.key is not None:
                logger.warning(
                    "Interrupted: %d embeddings are kept in %r. Call compute_similarity() again "
                    "with the same arguments to go on from there",
                    kept,
                    self.index.config.collection_name,
                )
            raise
        self.index.reload()

    def _add_given(self, ids: list[str], vectors: NDArray[Any]) -> None:
        # Of a record that is there, the field of the sample may not have been written.
        if self._attempt.resumed and self.index.config.embeddings_field is None:
            wanted = ~self.index.records.are_known(ids)
            known = np.flatnonzero(~wanted)
            same = self.index.records.are_same([ids[row] for row in known], vectors[known])
            wanted[known[~same]] = True
            ids, vectors = [ids[row] for row in np.flatnonzero(wanted)], vectors[wanted]
        if ids:
            self.index.add_computed(vectors, ids, None, write_field=True)

    def _lacking(self, ids: list[str]) -> list[str]:
        """Return the samples whose records are not all in the index."""
        if self.index.config.patches_field is not None or self._samples._is_patches:
            return ids
        there = self.index.records.are_known(ids).tolist()
        lacking = [name for name, known in zip(ids, there, strict=True) if not known]
        logger.info("Going on: %d of %d are embedded", len(ids) - len(lacking), len(ids))
        return lacking

    def _add(self, ids: list[str], bar: Any) -> None:
        before = bar.iteration
        view = self._samples.select(ids)
        if self._attempt.resumed and self.index.config.patches_field is not None:
            view = self._without_known_labels(view)
        config, sources = self.index.config, None
        if not self._from_field:
            # Looked at first: a file that is changed meanwhile has another digest afterwards.
            sources = media_digests(view, config.patches_field, config.roi_field)
        vectors, samples, labels = self._embedder.embedded(
            view, lambda reached: bar.set_iteration(before + reached)
        )
        if len(samples):
            self.index.add_computed(
                vectors, samples, labels, write_field=not self._from_field, sources=sources
            )
        bar.set_iteration(before + len(ids))

    def _without_known_labels(self, view: Any) -> Any:
        field = self.index.config.patches_field
        labels = ids_within(view, field)[1]
        known = labels[self.index.records.are_known(labels.tolist())].tolist()
        return fbu.skip_ids(view, known, patches_field=field)


def _ids_of_rows(samples: Any, given: Any) -> list[str] | None:
    """Return the sample of each row of an array of usable vectors.

    ``None`` for all else: FiftyOne's way refuses what is unusable before anything is written.
    """
    if not isinstance(given, np.ndarray) or given.ndim != 2 or given.dtype.kind not in "fiu":
        return None
    ids = [] if samples._is_patches else ids_of(samples)
    if not ids or len(given) != len(ids) or len(set(ids)) != len(ids):
        return None
    with np.errstate(over="ignore"):
        finite = all(
            bool(np.isfinite(np.asarray(given[start:stop], dtype=np.float32)).all())
            for start, stop in _parts(given)
        )
    return ids if finite else None


def _parts(vectors: NDArray[Any], largest: int | None = None) -> Iterator[tuple[int, int]]:
    """Return where to cut vectors into parts of about as many bytes."""
    count = len(vectors)
    rows = min(largest or count, max(1, PART_BYTES * count // max(1, vectors.nbytes)))
    for start in range(0, count, rows):
        yield start, min(count, start + rows)


_expected: ContextVar[_Embedding | None] = ContextVar("vecbridge_fiftyone_expected", default=None)
"""The step of which FiftyOne is about to compute the embeddings."""


def expect(index: BackendSimilarityIndex, attempt: Attempt, part_sizes: PartSizes) -> None:
    """Write what FiftyOne embeds next to an index that ``compute_similarity`` has just made."""
    if not isinstance(fbs.fbu.get_embeddings, Streaming):
        fbs.fbu.get_embeddings = Streaming(fbs.fbu.get_embeddings)
    _expected.set(_Embedding(index, attempt, part_sizes))


def forget() -> None:
    """Expect no embeddings any more."""
    _expected.set(None)


def _step_of(config: BackendSimilarityConfig) -> dict[str, Any]:
    """Return what a configuration embeds, and how."""
    names = ("metric", "model_kwargs", "patches_field", "roi_field", "embeddings_field")
    facts = {name: getattr(config, name) for name in names}
    return {**facts, "backend": config.backend_name, "model": config.model_name}
