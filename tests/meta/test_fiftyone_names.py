"""The page on FiftyOne lists the names that vecbridge takes over, as the table in the code does."""

from __future__ import annotations

from tests.meta.source import ROOT
from vecbridge.fiftyone._same_names import SAME_NAMES

PAGE = ROOT / "docs" / "reference" / "fiftyone.md"


def test_page_lists_the_names_that_are_taken_over() -> None:
    text = PAGE.read_text(encoding="utf-8").partition("## Names that FiftyOne has too")[2]
    lines = [line for line in text.partition("## ")[0].splitlines() if line.startswith("| `")]
    assert [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines] == [
        [
            f"`{name}`",
            about.store,
            f"`{about.index_parameter}`",
            ", ".join(f"`{each}`" for each in sorted(about.unused)),
        ]
        for name, about in SAME_NAMES.items()
    ]
