"""The contract's clauses are numbered without doubt, and citations of them hold."""

from __future__ import annotations

import re
from itertools import groupby

import vecbridge
from tests.meta.source import ROOT, modules

PAGE = (ROOT / "docs" / "contract.md").read_text(encoding="utf-8")
FAMILIES = [
    "REC",
    "WRITE",
    "READ",
    "SEARCH",
    "DIST",
    "RANK",
    "NEAR",
    "CAND",
    "CONS",
    "CAP",
    "INDEX",
    "ERR",
]
CLAUSES = re.findall(r"^\*\*([A-Z]+-\d+)\.\*\* ", PAGE, flags=re.MULTILINE)
CITATION = re.compile(rf"\b((?:{'|'.join(FAMILIES)})-\d+)\b")


def test_clauses_come_family_by_family() -> None:
    families = [family for family, _ in groupby(clause.partition("-")[0] for clause in CLAUSES)]

    assert families == FAMILIES


def test_clauses_of_a_family_are_numbered_upwards_from_one_without_repetition() -> None:
    for family in FAMILIES:
        numbers = [
            int(clause.partition("-")[2]) for clause in CLAUSES if clause.startswith(f"{family}-")
        ]
        assert numbers == list(range(1, len(numbers) + 1)), family


def test_every_cited_clause_exists() -> None:
    everywhere = [*(ROOT / "docs").rglob("*.md"), *ROOT.glob("*.md")]
    pages = [path for path in everywhere if path.name != "contract.md"]
    sources = [path for _, path in modules()]
    tests = (ROOT / "tests").rglob("*.py")
    cited = {
        clause
        for path in [*pages, *sources, *tests]
        for clause in CITATION.findall(path.read_text(encoding="utf-8"))
    }

    assert cited
    assert cited - set(CLAUSES) == set()


def test_the_page_is_of_the_version_that_the_code_declares() -> None:
    assert f"\nVersion {vecbridge.contract_version}. " in PAGE


def test_the_page_names_every_error_that_it_relies_on_as_the_code_does() -> None:
    named = set(re.findall(r"`([A-Z][A-Za-z]+Error)`", PAGE)) - {
        "ImportError",
        "LookupError",
        "NotImplementedError",
        "ValueError",
    }

    assert named
    assert named <= set(vecbridge.__all__)
