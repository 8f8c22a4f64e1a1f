"""The rows of the table of features, and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Check = Callable[[Any], None]


@dataclass(frozen=True)
class Feature:
    """A row of the table.

    Attributes:
        group: that it belongs to.
        title: what it is.
        check: what shows that a store has it.
        brief: whether every ``make test`` runs it on every store.
    """

    group: str
    title: str
    check: Check
    brief: bool = False


FEATURES: list[Feature] = []
OURS = {
    "sklearn": "scikit-learn",
    "faiss": "FAISS",
    "torch": "torch",
    "lite": "Milvus Lite",
    "server": "Milvus server",
    "pgvector": "PostgreSQL",
    "qdrant": "Qdrant (embedded)",
    "lancedb": "LanceDB",
    "redis": "Redis",
    "chroma": "Chroma (embedded)",
}
BRIEF = frozenset({"qdrant", "lancedb", "redis", "chroma"})
"""The columns of which ``make test`` runs the brief rows alone."""

THEIRS = {"own-sklearn": "FiftyOne's sklearn", "own-milvus": "FiftyOne's milvus"}

_HEAD = """# What works on which store

This page is written by a test run (`make features`): each cell is a test that ran, with FiftyOne
{fiftyone} and fiftyone-brain {brain}. *yes* means that the answer was the right one: ids in the
order of the true distances, and those distances. A number leads to what was found instead.

In vecbridge's columns every cell has to be *yes*. They run in every `make test`; of {brief} a
selection, and the whole column every week.
"""


def feature(group: str, title: str, *, brief: bool = False) -> Callable[[Check], Check]:
    """Makes a function a row of the table."""

    def added(check: Check) -> Check:
        FEATURES.append(Feature(group, title, check, brief))
        return check

    return added


def page(found: Mapping[tuple[str, str], str], versions: Mapping[str, str]) -> str:
    """The page.

    Args:
        found: for each store and title, what went wrong, or nothing.
        versions: of ``fiftyone`` and ``brain``.
    """
    stores = {**THEIRS, **OURS}
    notes: dict[str, int] = {}
    *some, last = (OURS[key] for key in OURS if key in BRIEF)
    lines = [_HEAD.format(**versions, brief=f"{', '.join(some)} and {last}")]
    for group in dict.fromkeys(row.group for row in FEATURES):
        heads = [
            group,
            *(f"vecbridge: {name}" if key in OURS else name for key, name in stores.items()),
        ]
        lines += ["", f"| {' | '.join(heads)} |", "|---" * len(heads) + "|"]
        for row in FEATURES:
            if row.group == group:
                cells = [_cell(found.get((key, row.title)), notes) for key in stores]
                lines.append(f"| {' | '.join([row.title, *cells])} |")
    lines += ["", "## What was found instead", ""]
    lines += [f"{number}. {text}" for text, number in notes.items()]
    return "\n".join(lines) + "\n"


def _cell(problem: str | None, notes: dict[str, int]) -> str:
    if problem is None:
        return ""
    if not problem:
        return "yes"
    return f"no ({notes.setdefault(problem, len(notes) + 1)})"
