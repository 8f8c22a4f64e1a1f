"""A release is refused as long as something about it is unfinished."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.release import unfinished


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The files that are looked at, as they have to be."""
    (tmp_path / "vecbridge").mkdir()
    (tmp_path / "changelog.d").mkdir()
    for name, text in {
        "vecbridge/__init__.py": '__version__ = "0.2.0"\n',
        "CHANGELOG.md": "# Changelog\n\n## 0.2.0 (2027-01-01)\n\n## 0.1.0 (2026-11-30)\n",
        "CITATION.cff": "title: x\nversion: 0.2.0\n",
        "changelog.d/README.md": "how to\n",
        "pyproject.toml": '[project.urls]\nSource = "https://github.com/own/vecbridge"\n',
    }.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_what_is_finished_has_no_problem(checkout: Path) -> None:
    assert unfinished(checkout, "own/vecbridge") == []


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("vecbridge/__init__.py", '__version__ = "0.2.0.dev0"\n', "is no release"),
        ("CHANGELOG.md", "## 0.1.0 (2026-11-30)\n", "does not begin with 0.2.0"),
        ("CITATION.cff", "version: 0.1.0\n", "does not name version 0.2.0"),
        ("changelog.d/+more.added.md", "More.\n", "the first is +more.added.md"),
    ],
)
def test_what_is_unfinished_is_named(checkout: Path, file: str, text: str, said: str) -> None:
    (checkout / file).write_text(text)

    assert any(said in problem for problem in unfinished(checkout, "own/vecbridge"))


def test_links_to_another_repository_are_refused(checkout: Path) -> None:
    (problem,) = unfinished(checkout, "somebody/fork")

    assert "somebody/fork" in problem
