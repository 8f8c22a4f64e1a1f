"""scikit-learn's 1797 handwritten digits as PNG files in a FiftyOne dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image
from rich.progress import track

if TYPE_CHECKING:
    import fiftyone as fo

DATASET_NAME = "vecbridge-demo"
PIXELS = 64
_SHADES = 16


def digits_dataset(folder: Path) -> fo.Dataset:
    """Write the images and make the dataset; an earlier run's dataset is replaced.

    Args:
        folder: where the PNG files go; files that are there already are kept.

    Returns:
        A dataset of 1797 samples with a ``ground_truth`` label each.
    """
    import fiftyone as fo
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
    if fo.dataset_exists(DATASET_NAME):
        fo.delete_dataset(DATASET_NAME)
    dataset = fo.Dataset(DATASET_NAME, persistent=True)
    dataset.add_samples(samples, progress=False)
    return dataset


def _write(image: np.ndarray, path: Path) -> None:
    shades = (255 * image / _SHADES).astype(np.uint8)
    Image.fromarray(shades).resize((PIXELS, PIXELS), Image.Resampling.NEAREST).save(path)
