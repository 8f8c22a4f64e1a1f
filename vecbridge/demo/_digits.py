"""scikit-learn's 1797 handwritten digits in a FiftyOne dataset, and a model that embeds them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fiftyone as fo
import fiftyone.core.models as fom
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from rich.progress import track

_DATASET_NAME = "vecbridge-demo"
_PIXELS = 64
_SHADES = 16
_SIDE = 8


def digits_dataset(folder: Path) -> fo.Dataset:
    """Write the images, and return a dataset of them that replaces an earlier run's.

    Each sample has a ``ground_truth`` label. Images that are in the folder already are kept.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    folder.mkdir(parents=True, exist_ok=True)
    samples = []
    pairs = list(zip(digits.images, digits.target, strict=True))
    for number, (image, label) in enumerate(track(pairs, description="Writing PNG files ")):
        path = folder / f"{number:04d}.png"
        if not path.exists():
            _write(image, path)
        word = fo.Classification(label=str(label))
        samples.append(fo.Sample(filepath=str(path.resolve()), ground_truth=word))
    if fo.dataset_exists(_DATASET_NAME):
        fo.delete_dataset(_DATASET_NAME)
    dataset = fo.Dataset(_DATASET_NAME, persistent=True)
    dataset.add_samples(samples, progress=False)
    return dataset


def _write(image: np.ndarray, path: Path) -> None:
    shades = (255 * image / _SHADES).astype(np.uint8)
    Image.fromarray(shades).resize((_PIXELS, _PIXELS), Image.Resampling.NEAREST).save(path)


class PixelModel(fom.Model, fom.EmbeddingsMixin):  # type: ignore[misc]  # fiftyone is untyped
    """Embeds an image as the mean shade of each cell of an 8 by 8 grid; needs no download."""

    @property
    def media_type(self) -> str:
        """Return what the model takes."""
        return "image"

    @property
    def has_embeddings(self) -> bool:
        """Return that it embeds, which FiftyOne asks."""
        return True

    @property
    def ragged_batches(self) -> bool:
        """Return that images may differ in size."""
        return True

    @property
    def transforms(self) -> None:
        """Return that none are needed."""

    @property
    def preprocess(self) -> bool:
        """Return that nothing is done before :meth:`embed`."""
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
