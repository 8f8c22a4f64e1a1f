"""The page of the architecture is what the sources say."""

from __future__ import annotations

from tools.architecture import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.architecture"
