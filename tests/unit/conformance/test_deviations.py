"""The ledger of deviations is strict: what is wrong in it is an error, not a shrug."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.engine import CAPABILITIES
from vecbridge import UnsupportedError
from vecbridge_conformance.deviations import Deviation, LedgerError, read_ledger

ENTRY = {
    "clause": "READ-3",
    "kind": "upstream",
    "reason": "the server drops the sign of a zero",
    "link": "https://example.com/issues/1",
    "raises": "AssertionError",
}


def ledger(**changes: Any) -> str:
    lines = ["[[deviation]]"]
    for key, value in {**ENTRY, **changes}.items():
        if value is not None:
            lines.append(f"{key} = {value}" if key == "where" else f'{key} = "{value}"')
    return "\n".join(lines)


def entry(**changes: Any) -> Deviation:
    return Deviation(**{**ENTRY, **changes})


def test_an_entry_is_read_with_all_that_it_says() -> None:
    text = ledger(test="test_x", applies_to="numpy>=1", where="{ shared = true }")

    assert read_ledger(text, "store") == [
        entry(test="test_x", applies_to="numpy>=1", where={"shared": True})
    ]


@pytest.mark.parametrize("name", sorted(ENTRY))
def test_an_entry_without_one_of_its_parts_is_refused(name: str) -> None:
    for value in (None, "", "  "):
        with pytest.raises(LedgerError, match=rf"store/deviations.toml, entry 1.*{name}"):
            read_ledger(ledger(**{name: value}), "store")


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"clause": "NONSENSE-1"}, "no clause 'NONSENSE-1'"),
        ({"kind": "whatever"}, "kind must be one of notimpl, upstream, by-design"),
        ({"because": "a word too many"}, r"unknown \['because'\]"),
        ({"where": "{ fast = true }"}, r"where names \['fast'\]"),
    ],
)
def test_an_entry_about_what_does_not_exist_is_refused(
    changes: dict[str, str], complaint: str
) -> None:
    with pytest.raises(LedgerError, match=complaint):
        read_ledger(ledger(**changes), "store")


@pytest.mark.parametrize("text", ["[[deviation", "[[deviations]]\nclause = 'READ-3'"])
def test_what_is_no_ledger_is_refused(text: str) -> None:
    with pytest.raises(LedgerError, match=r"store/deviations\.toml"):
        read_ledger(text, "store")


@pytest.mark.parametrize("requirement", ["numpy<1", "no-such-package-at-all", "not a requirement!"])
def test_an_entry_about_another_version_is_refused(requirement: str) -> None:
    with pytest.raises(LedgerError, match="applies"):
        entry(applies_to=requirement).check_version("store/deviations.toml")


def test_an_entry_about_the_installed_version_stays() -> None:
    entry(applies_to="numpy>=1").check_version("store/deviations.toml")
    entry().check_version("store/deviations.toml")


def test_an_entry_is_about_deployments_with_its_capabilities_only() -> None:
    shared = replace(CAPABILITIES, shared=True)

    assert entry(where={"shared": True}).holds_for(shared)
    assert not entry(where={"shared": True}).holds_for(CAPABILITIES)
    assert entry().holds_for(CAPABILITIES)


def test_an_entry_explains_errors_of_its_class_only() -> None:
    known = entry(raises="NotImplementedError")

    assert known.explains(UnsupportedError("no", capability="fields"))
    assert not known.explains(AssertionError())


def test_an_entry_is_about_its_test_or_about_every_test_of_its_clause() -> None:
    assert entry(test="test_x").is_about("test_x", ["READ-3", "REC-1"])
    assert not entry(test="test_x").is_about("test_y", ["READ-3"])
    assert entry().is_about("test_y", ["READ-3"])
    assert entry(test="test_x").is_about("test_x[32768]", ["READ-3"])
    assert entry(test="test_x[32768]").is_about("test_x[32768]", ["READ-3"])
    assert not entry(test="test_x[32768]").is_about("test_x[4097]", ["READ-3"])
    assert not entry().is_about("test_y", ["REC-1"])
