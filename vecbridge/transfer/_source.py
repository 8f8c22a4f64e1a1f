"""A file of records that is being read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._records import FieldType, Records
from vecbridge._errors import InvalidArgumentError

BATCH_BYTES = 16 << 20
BATCH_IDS = 1 << 16


@dataclass(frozen=True)
class Source:
    """What a file holds, and how to read it.

    Attributes:
        records: how many.
        dimension: length of the vectors.
        metric: as the file says; ``None`` where it does not.
        fields: name and type of each scalar field.
        ids: gives the ids alone, some at a time, in the order of the records.
        batches: gives the records, a few at a time.
    """

    records: int
    dimension: int
    metric: Metric | None
    fields: Mapping[str, FieldType]
    ids: Callable[[], Iterator[Sequence[str | None]]]
    batches: Callable[[], Iterator[Records]]


def batch_rows(dimension: int) -> int:
    """Records of a batch."""
    return max(1, BATCH_BYTES // (4 * dimension))


def metric_said(about: str | bytes) -> Metric | None:
    """The metric in what a file says about itself; a file from elsewhere may say anything."""
    try:
        said = json.loads(about)
    except ValueError:
        return None
    metric = said.get("metric") if isinstance(said, dict) else None
    return metric if metric in METRICS else None


def unusable(path: Path, reason: object) -> InvalidArgumentError:
    """The error of a file that is not one of records."""
    return InvalidArgumentError(
        f"{path} is not a file of records: {reason}. It needs ids (strings) and vectors (float32, "
        f"all of one length), as `vecbridge export` writes them"
    )
