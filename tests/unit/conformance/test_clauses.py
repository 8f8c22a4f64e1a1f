"""Clauses are read from the contract, and tests say which of them they check."""

from __future__ import annotations

import pytest

from vecbridge_conformance import (
    Mark,
    Vacuous,
    clause,
    clauses,
    mark_of,
    refuses,
    requires,
    vacuous,
)


def test_every_clause_is_read_whole_on_one_line() -> None:
    found = clauses()

    assert found["SEARCH-3"].text == (
        "An answer holds `min(k, n)` hits, where `n` records are in scope. There is no padding."
    )
    assert found["SEARCH-3"].family == "Searching"
    assert all("\n" not in each.text and each.text[-1] in ".`)" for each in found.values())


def test_clauses_come_in_the_order_of_the_contract() -> None:
    names = list(clauses())

    assert names[:2] == ["REC-1", "REC-2"]
    assert names.index("READ-1") < names.index("SEARCH-1") < names.index("ERR-1")


def test_marks_add_up_and_leave_the_function_as_it_is() -> None:
    def test_something() -> str:
        return "ran"

    marked = requires("fields")(refuses("shared")(clause("REC-1", "REC-2")(test_something)))

    assert marked is test_something
    assert marked() == "ran"
    assert mark_of(marked) == Mark(("REC-1", "REC-2"), ("fields",), ("shared",))


@pytest.mark.parametrize("wrong", [("NONSENSE-1",), ("REC-1", "NONSENSE-1"), ()])
def test_a_clause_that_the_contract_has_not_cannot_be_cited(wrong: tuple[str, ...]) -> None:
    with pytest.raises(LookupError, match="the contract has no clause"):
        clause(*wrong)


def test_vacuous_ends_the_test_and_says_why() -> None:
    with pytest.raises(Vacuous, match="vacuous: no lag was seen"):
        vacuous("no lag was seen")
