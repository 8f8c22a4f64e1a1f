"""An embedding model small enough to need no download: the picture itself, in 64 numbers."""

from __future__ import annotations

from typing import Any

import fiftyone.core.models as fom
import numpy as np
from numpy.typing import NDArray

_SIDE = 8


class PixelModel(fom.Model, fom.EmbeddingsMixin):  # type: ignore[misc]  # fiftyone is untyped
    """Embeds an image as the mean shade of each cell of an 8 by 8 grid."""

    @property
    def media_type(self) -> str:
        """What the model takes."""
        return "image"

    @property
    def has_embeddings(self) -> bool:
        """FiftyOne asks; it has."""
        return True

    @property
    def ragged_batches(self) -> bool:
        """Images may differ in size."""
        return True

    @property
    def transforms(self) -> None:
        """None are needed."""

    @property
    def preprocess(self) -> bool:
        """Nothing is done before :meth:`embed`."""
        return False

    def predict(self, arg: Any) -> None:
        """Refuse: this model only embeds."""
        raise NotImplementedError("PixelModel only embeds images")

    def get_embeddings(self) -> NDArray[np.float32]:
        """Return the last image's embedding, as FiftyOne asks for it."""
        return self._last

    def embed(self, arg: Any) -> NDArray[np.float32]:
        """Embed one ``(height, width[, channels])`` image as ``(64,)`` float32 in 0 .. 1."""
        shades = np.asarray(arg, dtype=np.float32)
        shades = shades.mean(axis=2) if shades.ndim == 3 else shades
        height, width = (size // _SIDE for size in shades.shape)
        grid = shades[: height * _SIDE, : width * _SIDE].reshape(_SIDE, height, _SIDE, width)
        self._last = np.asarray(grid.mean(axis=(1, 3)).ravel() / 255, dtype=np.float32)
        return self._last

    def embed_all(self, args: Any) -> NDArray[np.float32]:
        """Embed several images: ``(n, 64)`` float32."""
        return np.stack([self.embed(arg) for arg in args])
