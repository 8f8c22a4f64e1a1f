"""The appendix of the page of the architecture is what the sources say."""

from __future__ import annotations

from tools.architecture import PAGE, page


def test_the_page_is_current() -> None:
    current = PAGE.read_text(encoding="utf-8")

    assert current == page(current), "run: python -m tools.architecture"


def test_the_page_begins_with_prose() -> None:
    prose, _, appendix = PAGE.read_text(encoding="utf-8").partition("## Appendix")

    assert len(prose.split()) > 200
    assert "| module | |" not in prose
    assert "| module | |" in appendix
