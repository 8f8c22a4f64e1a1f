"""What people search for leads to the page that answers it: its title has the word."""

from __future__ import annotations

import re

import pytest

from tests.meta.source import ROOT

DOCS = ROOT / "docs"
NAVIGATION = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
ANSWERS = {
    "filters": "how-to/use-fields-and-filters.md",
    "metadata": "how-to/use-fields-and-filters.md",
    "ingest": "how-to/ingest-vectors.md",
    "async": "how-to/use-in-a-web-service.md",
    "web services": "how-to/use-in-a-web-service.md",
    "workers": "how-to/use-several-processes.md",
    "forks": "how-to/use-several-processes.md",
    "pagination": "how-to/page-through-results.md",
    "namespaces": "how-to/separate-tenants.md",
    "tenants": "how-to/separate-tenants.md",
    "docker": "how-to/run-in-docker.md",
    "windows": "how-to/use-on-windows.md",
    "backups": "how-to/back-up-and-restore.md",
    "upgrading": "explanation/versions.md",
    "install": "how-to/install.md",
    "contract": "contract.md",
    "glossary": "explanation/glossary.md",
}
"""The search of the site puts a word of a title before all others."""


@pytest.mark.parametrize(("word", "page"), ANSWERS.items())
def test_a_word_that_is_searched_for_is_in_the_title_of_its_page(word: str, page: str) -> None:
    title = re.match(r"# (.+)", (DOCS / page).read_text(encoding="utf-8"))

    assert title is not None
    assert word in title[1].lower()
    assert page in NAVIGATION
