"""The table of FiftyOne's features has every feature, and no cell of ours is empty."""

from __future__ import annotations

from tests.live.fiftyone.features import FEATURES
from tests.live.fiftyone.features._table import OURS, THEIRS
from tests.meta.source import ROOT

PAGE = ROOT / "docs" / "reference" / "fiftyone-features.md"


def table() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    rows = [line.strip("|").split("|") for line in lines if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


def test_page_has_the_features_that_are_tested() -> None:
    groups = set(dict.fromkeys(row.group for row in FEATURES))
    shown = [row[0] for row in table() if row[0] not in groups]
    assert shown == [row.title for row in FEATURES], "run `make features`"


def test_every_cell_of_ours_is_yes() -> None:
    groups = {row.group for row in FEATURES}
    for title, *cells in table():
        if title in groups:
            continue
        assert len(cells) == len(THEIRS) + len(OURS)
        assert all(cells), f"{title} has an empty cell"
        assert set(cells[len(THEIRS) :]) == {"yes"}, title
