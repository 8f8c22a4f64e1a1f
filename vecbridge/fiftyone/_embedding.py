"""Embeddings written to the store as they are computed.

FiftyOne computes every embedding before it hands the first one over: a million of them is
gigabytes, and nothing is left of hours of work if the process ends. It asks one function for them,
``get_embeddings`` of ``fiftyone.brain.internal.core.utils``, by the name that its similarity module
holds. That name is bound to :class:`Streaming` here, which answers for an index of ours part by
part, and hands every other call on as it is.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any

import fiftyone as fo
import fiftyone.brain.internal.core.utils as fbu
import fiftyone.brain.similarity as fbs
import fiftyone.core.utils as fou
import numpy as np

from vecbridge.fiftyone._ids import ids_of
from vecbridge.fiftyone._records import ids_within

logger = logging.getLogger(__name__)

_FIRST_PART = 256
_LARGEST_PART = 4096
_PART_BYTES = 32 << 20
_LOOKED_UP_AT_ONCE = 8192

_expected: ContextVar[Any] = ContextVar("vecbridge_fiftyone_expected", default=None)


class Streaming:
    """FiftyOne's ``get_embeddings``, in parts where an index of ours waits for them.

    Args:
        original: FiftyOne's.
    """

    def __init__(self, original: Callable[..., Any]) -> None:
        self._original = original

    def __call__(self, samples: Any, **asked: Any) -> Any:
        """The embeddings, or nothing where they are in the index already."""
        index = _expected.get()
        forget()
        in_memory = asked.get("embeddings") is not None
        if index is None or in_memory or asked.get("model") is not index._model:
            return self._original(samples, **asked)
        Embedding(index, samples, self._original, asked).run()
        return None, None, None


def expect(index: Any) -> None:
    """Says that what is embedded next is for this index: ``compute_similarity`` has made it."""
    if not isinstance(fbs.fbu.get_embeddings, Streaming):
        fbs.fbu.get_embeddings = Streaming(fbs.fbu.get_embeddings)
    _expected.set(index)


def forget() -> None:
    """Says that nothing is to be embedded."""
    _expected.set(None)


class Embedding:
    """One embedding step.

    Args:
        index: the similarity index.
        samples: what is embedded.
        original: FiftyOne's ``get_embeddings``.
        asked: the arguments that it was called with.
    """

    def __init__(
        self, index: Any, samples: Any, original: Callable[..., Any], asked: dict[str, Any]
    ) -> None:
        self._index = index
        self._samples = samples
        self._original = original
        self._asked = dict(asked)
        self._progress = self._asked.pop("progress", None)
        self._model = self._asked.pop("model", None)

    def run(self) -> None:
        """Embeds what the index lacks, and adds it, part by part."""
        attempt = self._index.backend.attempt
        ids = ids_of(self._samples)
        if attempt.resumed:
            ids = self._lacking(ids)
        attempt.begin()
        logger.info("Computing embeddings...")
        try:
            with fou.ProgressBar(total=len(ids), progress=self._progress) as bar:
                for part in self._parts(ids):
                    self._add(part, bar)
        except BaseException:
            kept = self._index.total_index_size
            if not kept:
                attempt.end()
            elif self._index.key is not None:
                logger.warning(
                    "Interrupted: %d embeddings are kept in %r. Call compute_similarity() again "
                    "with the same arguments to go on from there",
                    kept,
                    self._index.config.collection_name,
                )
            raise
        self._index.reload()

    def _lacking(self, ids: list[str]) -> list[str]:
        """The samples whose records are not all in the index."""
        if self._index.config.patches_field is None and not self._samples._is_patches:
            lacking = [name for name, there in self._known(ids) if not there]
            logger.info("Going on: %d of %d are embedded", len(ids) - len(lacking), len(ids))
            return lacking
        return ids

    def _known(self, ids: Sequence[str]) -> Iterator[tuple[str, bool]]:
        for start in range(0, len(ids), _LOOKED_UP_AT_ONCE):
            part = ids[start : start + _LOOKED_UP_AT_ONCE]
            yield from zip(part, self._index.are_known(part).tolist(), strict=True)

    def _parts(self, ids: list[str]) -> Iterator[list[str]]:
        """Slices of samples whose embeddings take about so many bytes, whatever a sample holds."""
        start, size = 0, _FIRST_PART
        while start < len(ids):
            part = ids[start : start + size]
            self._bytes = 0
            yield part
            start += len(part)
            each = max(1, self._bytes // len(part))
            size = max(1, min(_LARGEST_PART, 2 * size, _PART_BYTES // each))
            batch = self._asked.get("batch_size") or 1
            size = -(-size // batch) * batch

    def _add(self, ids: list[str], bar: Any) -> None:
        before = bar.iteration
        view = self._samples.select(ids)
        if self._index.backend.attempt.resumed and self._index.config.patches_field is not None:
            view = self._without_known_labels(view)
        vectors, samples, labels = self._embedded(view, bar)
        if len(samples):
            self._bytes = np.asarray(vectors).nbytes
            # FiftyOne names the field only where the vectors are read from it.
            with self._index.field_is_source(self._asked.get("embeddings_field") is not None):
                self._index.add_to_index(vectors, samples, label_ids=labels, reload=False)
        bar.set_iteration(before + len(ids))

    def _without_known_labels(self, view: Any) -> Any:
        field = self._index.config.patches_field
        _, labels = ids_within(view, field)
        known = [name for name, there in self._known(labels.tolist()) if there]
        return fbu.skip_ids(view, known, patches_field=field)

    def _embedded(self, view: Any, bar: Any) -> Any:
        """Embeddings, sample ids and label ids of one part, as FiftyOne would give them."""
        patches, stored = self._asked.get("patches_field"), self._asked.get("embeddings_field")
        if self._model is None or fbu._has_embeddings_field(view, stored, patches):
            return self._original(view, model=self._model, progress=False, **self._asked)
        before = bar.iteration
        common: dict[str, Any] = {
            name: self._asked[name]
            for name in ("batch_size", "num_workers", "skip_failures")
            if name in self._asked
        }
        common["progress"] = lambda part: bar.set_iteration(before + max(0, part.iteration))
        # A callback does not keep FiftyOne from drawing a bar for each part.
        with fou.SetAttributes(fo.config, show_progress_bars=False):
            if patches is None:
                vectors = view.compute_embeddings(self._model, **common)
            else:
                shape = ("force_square", "alpha", "handle_missing")
                options = {name: self._asked[name] for name in shape if name in self._asked}
                vectors = view.compute_patch_embeddings(self._model, patches, **options, **common)
        return self._original(view, **{**self._asked, "embeddings": vectors})
