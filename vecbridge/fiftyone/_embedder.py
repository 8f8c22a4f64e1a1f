"""Embeddings of a collection as FiftyOne computes or reads them, part by part."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone as fo
import fiftyone.brain.internal.core.utils as fbu
import fiftyone.core.utils as fou
import numpy as np

PART_BYTES = 32 << 20
_CROP = ("force_square", "alpha", "handle_missing")
LOADING = ("batch_size", "num_workers", "skip_failures")


@dataclass(frozen=True)
class PartSizes:
    """The numbers of samples that are embedded before their embeddings are written.

    Attributes:
        first: samples in the first part; the parts grow from there.
        largest: samples in a part at most.
    """

    first: int = 256
    largest: int = 4096


class Embedder:
    """Give the embeddings of samples, or of their patches, in parts of about as many bytes.

    Args:
        get_embeddings: FiftyOne's function of that name.
        asked: the arguments that it is called with, less the model.
        model: embeds what no field holds; ``None`` where all is read from one.
        sizes: of the parts.
    """

    def __init__(
        self,
        get_embeddings: Callable[..., Any],
        asked: Mapping[str, Any],
        model: Any,
        sizes: PartSizes,
    ) -> None:
        self._get_embeddings = get_embeddings
        self._asked = dict(asked)
        self._model = model
        self._sizes = sizes
        self._bytes = 0

    def parts(self, ids: list[str]) -> Iterator[list[str]]:
        """Cut the samples into parts; each is embedded before the next is asked for."""
        start, size = 0, self._sizes.first
        while start < len(ids):
            part = ids[start : start + size]
            self._bytes = 0
            yield part
            start += len(part)
            each = max(1, self._bytes // len(part))
            size = max(1, min(self._sizes.largest, 2 * size, PART_BYTES // each))
            batch = self._asked.get("batch_size") or 1
            size = -(-size // batch) * batch

    def embedded(self, view: Any, reached: Callable[[int], object]) -> tuple[Any, Any, Any]:
        """Return embeddings, sample ids and label ids of one part, as FiftyOne would give them.

        ``reached`` is called with the number of samples that are embedded.
        """
        found: tuple[Any, Any, Any] = self._computed_or_read(view, reached)
        if len(found[1]):
            self._bytes = np.asarray(found[0]).nbytes
        return found

    def _computed_or_read(self, view: Any, reached: Callable[[int], object]) -> Any:
        patches, stored = self._asked.get("patches_field"), self._asked.get("embeddings_field")
        if self._model is None or fbu._has_embeddings_field(view, stored, patches):
            return self._get_embeddings(view, model=self._model, progress=False, **self._asked)
        common = {name: self._asked[name] for name in LOADING if name in self._asked}
        common["progress"] = lambda bar: reached(max(0, bar.iteration))
        # A callback does not keep FiftyOne from drawing a bar for each part.
        with fou.SetAttributes(fo.config, show_progress_bars=False):
            if patches is None:
                vectors = view.compute_embeddings(self._model, **common)
            else:
                crop = {name: self._asked[name] for name in _CROP if name in self._asked}
                vectors = view.compute_patch_embeddings(self._model, patches, **crop, **common)
        return self._get_embeddings(view, **{**self._asked, "embeddings": vectors})
