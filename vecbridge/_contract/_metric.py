"""Metrics: the three ways of measuring how far a vector is from a query."""

from __future__ import annotations

from typing import Literal, get_args

from vecbridge._errors import InvalidArgumentError

Metric = Literal["cosine", "dotproduct", "euclidean"]
"""The name of a metric, in FiftyOne's words."""

METRICS: tuple[Metric, ...] = get_args(Metric)
"""Every metric of the contract."""


def parse_metric(value: object) -> Metric:
    """Return the metric that a value names.

    Raises:
        InvalidArgumentError: the value names none.
    """
    for metric in METRICS:
        if isinstance(value, str) and value == metric:
            return metric
    raise InvalidArgumentError(f"metric must be one of {', '.join(METRICS)}; got {value!r}")
