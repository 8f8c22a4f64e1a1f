"""Models that need no download: what a zoo model is to FiftyOne, in a few lines of numpy."""

from __future__ import annotations

import os
import signal
from typing import Any

import numpy as np
from eta.core.config import Config

from vecbridge.demo._digits import PixelModel


class PatchModel(PixelModel):
    """Embeds pixels, of images that are smaller than the grid of the model too."""

    def embed(self, arg: Any) -> Any:
        image = np.asarray(arg)
        for axis in (0, 1):
            image = np.repeat(image, -(-8 // image.shape[axis]), axis=axis)
        return super().embed(image)


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
