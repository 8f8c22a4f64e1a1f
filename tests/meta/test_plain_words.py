"""Sentences for people use plain words: whom a sentence is about has a name, and "per" is "per"."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.meta.source import ROOT

INSTEAD = {
    r"nobody|somebody|whoever": "the caller, the user, the server, another program, no one program",
    r"anew": "again",
    r"likewise": "also, or the sentence itself once more",
    r"as ever": "as before, or nothing",
    r"be it": "whether",
    r"belongs? into": "belong in",
    r"(?:is|are|was|were) told(?! (?:apart|from))": "is reported, is given, says",
    r"one (?:vector|bool|row|record|hit|file|column) an? (?:id|query|record|hit|index)": "per",
}
"""Words that a reader stumbles over, and what to write in their place."""
STUMBLES = re.compile(rf"\b(?:{'|'.join(INSTEAD)})\b".replace(" ", r"\s+"), re.IGNORECASE)
WRITTEN_BY_TOOLS = {"neighbours.md", "conformance-matrix.md", "benchmarks.md"}
DECISIONS = ROOT / "docs" / "adr"
"""They say what was thought on their day, and are left as they were written."""

FILES = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    *(
        path
        for path in sorted((ROOT / "docs").rglob("*.md"))
        if path.name not in WRITTEN_BY_TOOLS and DECISIONS not in path.parents
    ),
    *(
        path
        for folder in ("vecbridge", "backends", "conformance")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ),
]


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_no_sentence_makes_a_reader_stumble(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    found = [
        f"line {text.count(chr(10), 0, match.start()) + 1}: {' '.join(match[0].split())!r}; "
        f"rather {_instead(match[0])}"
        for match in STUMBLES.finditer(re.sub(r"(?<=\w) *\n[ #*]*(?=\w)", "\n", text))
    ]

    assert found == []


def test_what_is_looked_for_is_found() -> None:
    assert STUMBLES.search("The caller is told the id")
    assert STUMBLES.search("expected one vector\nan id")
    assert not STUMBLES.search("ids are told apart by their case")


def _instead(words: str) -> str:
    plain = " ".join(words.split())
    return next(
        better for pattern, better in INSTEAD.items() if re.search(pattern, plain, re.IGNORECASE)
    )
