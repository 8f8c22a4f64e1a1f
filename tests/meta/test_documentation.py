"""The code in the documentation runs as it stands, page by page, and prints what the page shows."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.source import ROOT

BLOCK = re.compile(r"^```(python|text)[^\n]*\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
FIFTYONE = ROOT / "docs" / "tutorial" / "fiftyone.md"
"""Needs a MongoDB: it is run among the live tests."""

PAGES = [
    page
    for folder in ("tutorial", "how-to")
    for page in sorted((ROOT / "docs" / folder).glob("*.md"))
    if page != FIFTYONE
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}/{page.stem}")
def test_the_code_of_a_page_runs_and_prints_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    blocks = BLOCK.findall(page.read_text(encoding="utf-8"))
    code = "\n".join(text for language, text in blocks if language == "python")
    shown = "".join(text for language, text in blocks if language == "text")

    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={**_without_settings(), "HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout == shown


def test_there_are_pages_with_code_and_output() -> None:
    languages = {language for page in PAGES for language, _ in BLOCK.findall(page.read_text())}

    assert languages == {"python", "text"}


def _without_settings() -> dict[str, str]:
    """Return the environment, less what would configure a backend."""
    return {key: value for key, value in os.environ.items() if not key.startswith("FIFTYONE_")}
