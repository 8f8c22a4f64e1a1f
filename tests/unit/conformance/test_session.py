"""A run's outcomes are judged by the ledger, strictly in both directions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from vecbridge_conformance import Deployment, Mark, Session, Vacuous
from vecbridge_conformance.deviations import Deviation

MARK = Mark(("READ-3", "REC-3"))
KNOWN = Deviation("READ-3", "upstream", "no signs", "https://example.com/1", "AssertionError")


@pytest.fixture
def session() -> Iterator[Session]:
    with known(KNOWN) as used:
        yield used


@contextmanager
def known(entry: Deviation) -> Iterator[Session]:
    """Yield a session whose ledger has this entry."""
    used = Session(Deployment("sklearn"), ledger=[entry])
    yield used
    used.harness.close()


def test_what_the_ledger_explains_is_a_deviation(session: Session) -> None:
    outcome = session.record("test_x[a]", "smoke", MARK, AssertionError("no"), 0.1)

    assert outcome.verdict == "known"
    assert outcome.reason == "upstream: no signs (https://example.com/1)"
    assert session.unexpected_passes() == []


def test_what_it_does_not_explain_fails(session: Session) -> None:
    other_error = session.record("test_x", "smoke", MARK, KeyError("no"), 0.1)
    other_clause = session.record("test_y", "smoke", Mark(("REC-3",)), AssertionError("no"), 0.1)

    assert (other_error.verdict, other_clause.verdict) == ("broken", "broken")
    assert other_error.reason == "KeyError: 'no'"


def test_an_entry_that_nothing_showed_is_a_failure_of_its_clause(session: Session) -> None:
    assert session.record("test_x", "smoke", MARK, None, 0.1).verdict == "kept"
    (unexpected,) = session.unexpected_passes()

    assert (unexpected.verdict, unexpected.clauses) == ("broken", ("READ-3",))
    assert "remove the entry" in unexpected.reason


def test_a_part_of_the_suite_does_not_tell_that_nothing_shows_an_entry(session: Session) -> None:
    session.record("test_x", "smoke", MARK, None, 0.1)
    session.partial = True

    assert session.unexpected_passes() == []


def test_a_test_that_the_ledger_names_must_show_it() -> None:
    with known(replace(KNOWN, test="test_x")) as session:
        outcome = session.record("test_x", "smoke", MARK, None, 0.1)

    assert outcome.verdict == "broken"
    assert "Remove the entry" in outcome.reason


def test_with_parameters_one_case_that_shows_it_is_enough() -> None:
    with known(replace(KNOWN, test="test_x")) as session:
        session.record("test_x[a]", "smoke", MARK, AssertionError("no"), 0.1)

        assert session.record("test_x[b]", "smoke", MARK, None, 0.1).verdict == "kept"


def test_what_could_not_have_failed_is_vacuous(session: Session) -> None:
    outcome = session.record("test_x", "smoke", MARK, Vacuous("vacuous: no lag"), 0.1)

    assert (outcome.verdict, outcome.reason) == ("vacuous", "no lag")


def test_what_did_not_run_is_taken_down(session: Session) -> None:
    session.leave_out("test_x", "smoke", MARK, "no fields")

    assert [(each.verdict, each.reason) for each in session.outcomes] == [("not run", "no fields")]


def test_a_failure_is_explained_by_the_clauses_it_breaks(session: Session) -> None:
    session.harness.index(dimension=2).count()
    text = session.explanation(MARK)

    assert "READ-3. A vector comes back bit for bit" in text
    assert "index.count()" in text
