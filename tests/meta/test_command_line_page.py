"""The page of the command line is the commands' own."""

from __future__ import annotations

from tools.command_line import PAGE, page


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m tools.command_line"
