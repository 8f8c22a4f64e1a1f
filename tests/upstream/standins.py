"""A pytest plugin for FiftyOne's own tests: what they download is made here instead.

They load the data set *quickstart* and zoo models by name. Both are random here, of the same
sizes: the tests compare counts, ids and vectors, and never look at a picture.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest

_SAMPLES = 200
_OBJECTS = 1232
_LENGTH = 512
_LABELS = ("person", "dog", "kite")


def pytest_configure(config: pytest.Config) -> None:
    """Puts the stand-ins into FiftyOne's zoo, before its tests import it."""
    import fiftyone as fo
    import fiftyone.zoo as foz
    from PIL import Image

    from tests.live.fiftyone.models import PatchModel

    projection = np.random.default_rng(1).standard_normal((64, _LENGTH))

    class Model(PatchModel):
        """Embeds pixels in vectors of the length of CLIP's."""

        def embed(self, arg: Any) -> Any:
            return np.float32(super().embed(arg) @ projection)

    class ClipModel(Model):
        """Embeds any words too."""

        can_embed_prompts = True

        def embed_prompt(self, arg: str) -> Any:
            return self.embed_prompts([arg])[0]

        def embed_prompts(self, args: Any) -> Any:
            seeds = [zlib.crc32(str(text).encode()) for text in args]
            rows = [np.random.default_rng(seed).standard_normal(_LENGTH) for seed in seeds]
            return np.array(rows, dtype=np.float32)

    folder = Path(os.environ["VECBRIDGE_UPSTREAM_MEDIA"])
    random = np.random.default_rng(0)
    for number in range(_SAMPLES):
        pixels = random.integers(0, 255, (32, 32, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:03d}.png")

    def detections(number: int) -> Any:
        count = _OBJECTS // _SAMPLES + (number < _OBJECTS % _SAMPLES)
        found = [
            fo.Detection(label=_LABELS[each % 3], bounding_box=[each / 10, 0.1, 0.3, 0.8])
            for each in range(count)
        ]
        return fo.Detections(detections=found)

    def load_zoo_dataset(
        name: str,
        *,
        dataset_name: str | None = None,
        max_samples: int = _SAMPLES,
        drop_existing_dataset: bool = False,
    ) -> Any:
        own = dataset_name or name
        if fo.dataset_exists(own):
            if not drop_existing_dataset:
                return fo.load_dataset(own)
            fo.delete_dataset(own)
        dataset = fo.Dataset(own)
        dataset.add_samples(
            fo.Sample(filepath=str(folder / f"{number:03d}.png"), ground_truth=detections(number))
            for number in range(max_samples)
        )
        return dataset

    foz.load_zoo_dataset = load_zoo_dataset
    foz.load_zoo_model = lambda name, **_: ClipModel() if "clip" in name else Model()
