"""Links of the documentation to sources: the file is there, and defines what the link names."""

from __future__ import annotations

import pytest

from tests.meta.source import ROOT
from tools.source_links import SourceLink, line_of, source_links

LINKS = [
    (page, link)
    for page in [*sorted((ROOT / "docs").rglob("*.md")), *sorted(ROOT.glob("*.md"))]
    for link in source_links(page)
]


@pytest.mark.parametrize(
    ("page", "link"), LINKS, ids=lambda value: getattr(value, "name", None) or "file"
)
def test_a_link_leads_to_a_file_that_defines_what_it_names(page: object, link: SourceLink) -> None:
    assert link.path.is_file(), f"{page} links to {link.path}, which is not there"
    if link.name:
        assert line_of(link.name, link.path), f"{page}: {link.path} does not define {link.name}"


def test_the_walk_has_a_link_for_every_stop() -> None:
    walk = ROOT / "docs" / "explanation" / "walk.md"

    assert {link.path.relative_to(ROOT).parts[0] for page, link in LINKS if page == walk} == {
        "backends",
        "vecbridge",
    }


def test_names_are_found_where_they_are_defined_and_nowhere_else() -> None:
    this = ROOT / "tests" / "meta" / "test_source_links.py"

    assert line_of("LINKS", this)
    assert line_of("SourceLink", this) is None
    assert line_of("LINKS.page", this) is None
