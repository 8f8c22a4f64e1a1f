"""Why a ratio misses its limit, as far as is known; shown beside those that do."""

from __future__ import annotations

import re
from typing import Any

UNKNOWN = "not known yet"
_REMARKS: tuple[tuple[str, str, str], ...] = ()
"""Benchmark, pattern of the work, reason; the first that fits counts."""


def remark(benchmark: str, row: dict[str, Any]) -> str:
    """The reason for one row."""
    for name, pattern, reason in _REMARKS:
        if name == benchmark and re.search(pattern, row["work"]):
            return reason
    return UNKNOWN
