"""Models that need no download: what a zoo model is to FiftyOne, in a few lines of numpy."""

from __future__ import annotations

import os
import signal
from typing import Any

import fiftyone.core.models as fom
import numpy as np
from eta.core.config import Config


class PatchModel(fom.Model, fom.EmbeddingsMixin):  # type: ignore[misc]  # fiftyone is untyped
    """Embeds an image of any size as the mean shade of each cell of an 8 by 8 grid."""

    media_type = "image"
    has_embeddings = True
    ragged_batches = True
    transforms = None
    preprocess = False

    def embed(self, arg: Any) -> Any:
        image = np.asarray(arg, dtype=np.float32)
        for axis in (0, 1):
            image = np.repeat(image, -(-8 // image.shape[axis]), axis=axis)
        shades = image.mean(axis=2) if image.ndim == 3 else image
        height, width = (size // 8 for size in shades.shape)
        grid = shades[: height * 8, : width * 8].reshape(8, height, 8, width)
        return np.asarray(grid.mean(axis=(1, 3)).ravel() / 255, dtype=np.float32)

    def embed_all(self, args: Any) -> Any:
        return np.stack([self.embed(arg) for arg in args])


class CountingModel(PatchModel):
    """Embeds pixels, and counts; may fail or kill its process after so many images."""

    def __init__(self, *, fail_after: int | None = None, kill_after: int | None = None) -> None:
        self.seen = 0
        self._fail_after, self._kill_after = fail_after, kill_after

    def embed(self, arg: Any) -> Any:
        if self.seen == self._kill_after:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.seen == self._fail_after:
            raise RuntimeError("out of memory")
        self.seen += 1
        return super().embed(arg)


class WordModelConfig(Config):  # type: ignore[misc]  # eta is untyped
    """A zoo makes a model of its configuration, which has nothing to say here."""

    def __init__(self, d: Any) -> None:
        """There are no parameters."""


class WordModel(PatchModel):
    """Embeds pixels, and the names of digits as pictures of them."""

    def __init__(self, config: WordModelConfig | None = None) -> None:
        self.config = config

    WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")

    @property
    def can_embed_prompts(self) -> bool:
        return True

    def embed_prompt(self, arg: str) -> Any:
        return self.embed_prompts([arg])[0]

    def embed_prompts(self, args: Any) -> Any:
        from sklearn.datasets import load_digits

        source = load_digits()
        words = {word: digit for digit, word in enumerate(self.WORDS)}
        wanted = [words[str(text).split()[-1]] for text in args]
        means = [source.data[source.target == digit].mean(axis=0) for digit in wanted]
        return np.asarray(means, dtype=np.float32) / 17


ZOO = "words-and-pixels"


def manifest() -> dict[str, Any]:
    """A model zoo that holds :class:`WordModel`."""
    deployed = {"type": f"{__name__}.WordModel", "config": {}}
    about = {"base_name": ZOO, "description": "words and pixels", "source": "these tests"}
    model = {**about, "manager": None, "default_deployment_config_dict": deployed}
    return {"models": [model]}
