"""The features of FiftyOne's similarity interface: one per function, run on every store."""

from __future__ import annotations

from tests.live.fiftyone.features import (  # in the order of the table
    asking,
    changing,
    judging,
    knowing,
    lasting,
    making,
    running,
    searching,
)
from tests.live.fiftyone.features._table import FEATURES, Feature, page
from tests.live.fiftyone.features._world import World

__all__ = [
    "FEATURES",
    "Feature",
    "World",
    "asking",
    "changing",
    "judging",
    "knowing",
    "lasting",
    "making",
    "page",
    "running",
    "searching",
]
