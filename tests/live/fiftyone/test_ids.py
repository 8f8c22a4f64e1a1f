"""The ids of views, read past FiftyOne's own reading of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.live.fiftyone.cases import Digits
from tests.live.fiftyone.media import Media

View = Callable[[Digits, Media], Any]
VIEWS: dict[str, View] = {
    "dataset": lambda digits, _: digits.dataset,
    "part": lambda digits, _: digits.dataset[20:90],
    "ordered": lambda digits, _: digits.dataset.select(digits.ids[40:3:-2], ordered=True),
    "shuffled": lambda digits, _: digits.dataset.shuffle(seed=1),
    "twice": lambda digits, _: digits.dataset[:9].concat(digits.dataset[5:15]),
    "nothing": lambda digits, _: digits.dataset.skip(1000),
    "frames": lambda _, media: media.frames(),
    "clips": lambda _, media: media.clips(),
    "groups": lambda _, media: media.slices("left")._root_dataset,
    "slice": lambda _, media: media.slices("right"),
    "slices": lambda _, media: media.slices(["left", "right"]),
}


@pytest.fixture(scope="module")
def media(fob: Any, tmp_path_factory: pytest.TempPathFactory) -> Media:
    folder: Path = tmp_path_factory.mktemp("media")
    return Media(folder)


@pytest.mark.parametrize("view", VIEWS.values(), ids=VIEWS)
def test_the_records_of_a_view_are_in_the_order_that_fiftyone_gives(
    view: View, digits: Digits, media: Media
) -> None:
    from vecbridge.fiftyone.similarity import SklearnSimilarityConfig, SklearnSimilarityIndex

    samples = view(digits, media)
    ids = samples.values("id")
    config = SklearnSimilarityConfig(collection_name="ids", path=":memory:")
    index = SklearnSimilarityIndex(samples._root_dataset, config, None)
    every = sorted({*ids, *digits.ids})
    index.add_to_index(np.ones((len(every), 2)), every)
    index.use_view(samples)
    assert index.current_sample_ids.tolist() == ids
    index.cleanup()
