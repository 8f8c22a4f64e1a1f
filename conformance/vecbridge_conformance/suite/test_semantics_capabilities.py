"""Capabilities: stated by the live store, kept, and refused where they are not stated."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest

from vecbridge import (
    CONSISTENCY_LEVELS,
    Capabilities,
    InvalidArgumentError,
    UnknownSettingError,
    UnsupportedError,
    VecbridgeError,
    get_backend,
)
from vecbridge.fields import FIELD_TYPES
from vecbridge.filters import FILTER_OPERATORS
from vecbridge_conformance import Harness, clause, refuses, requires, vacuous
from vecbridge_conformance.checks import contents, contents_of, unchanged

STRONGER = {level: set(CONSISTENCY_LEVELS[: at + 1]) for at, level in enumerate(CONSISTENCY_LEVELS)}


@clause("CAP-1", "CAP-6", "CAP-7")
def test_every_capability_is_stated_with_a_value_of_its_type(harness: Harness) -> None:
    """Look at the capabilities: plain values, and limits that are positive or absent."""
    stated = harness.index().capabilities
    assert isinstance(stated, Capabilities)
    for name in ("exact", "range_search", "farthest", "partitions", "durable", "shared"):
        assert type(getattr(stated, name)) is bool, name
    assert type(stated.max_dimension) is int
    assert 1 <= stated.max_dimension <= 32768
    assert stated.recall is None or (type(stated.recall) is float and 0 < stated.recall <= 1)
    assert stated.recall is None or not stated.exact, "an exact index finds everything"
    for name in ("max_k", "max_within", "max_batch_bytes"):
        limit = getattr(stated, name)
        assert limit is None or (type(limit) is int and limit > 0), name
    assert isinstance(stated.consistency, frozenset)
    assert stated.consistency <= set(CONSISTENCY_LEVELS)
    assert stated.consistency
    assert isinstance(stated.filters, frozenset)
    assert stated.filters <= FILTER_OPERATORS
    assert isinstance(stated.filters_except, frozenset)
    assert stated.filters_except <= {
        (kind, word) for kind in stated.field_types for word in stated.filters
    }, "an exception is one from filters, on a type that fields may have"
    assert isinstance(stated.field_types, frozenset)
    assert stated.field_types <= set(FIELD_TYPES)
    assert stated.fields or not stated.filters, "filters without fields have nothing to look at"


@clause("CAP-1")
def test_two_openings_state_the_same(harness: Harness) -> None:
    """Look for capabilities that depend on the object and not on the store."""
    index = harness.index()
    again = harness.store.open_index(index.info.name)
    assert again.capabilities == index.capabilities
    assert {each.name for each in fields(again.capabilities)} == {
        each.name for each in fields(Capabilities)
    }


@clause("CONS-5", "CAP-3")
@pytest.mark.parametrize("level", CONSISTENCY_LEVELS)
def test_a_level_is_answered_if_one_as_strong_is_declared(harness: Harness, level: Any) -> None:
    """Look at the levels declared: the client layer asks the engine for declared ones only."""
    if not harness.capabilities.consistency & STRONGER[level]:
        vacuous(f"no level as strong as {level} is declared; its refusal is tested instead")
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a"], [[1, 2]])
    assert index.count(consistency="strong" if level == "strong" else level) in {0, 1}
    assert index.fetch(["a"], consistency=level).ids in {("a",), ()}
    assert len(index.search([1, 2], consistency=level)) == 1
    assert index.contains(["a"], consistency=level).shape == (1,)
    assert sum(map(len, index.scan(consistency=level))) in {0, 1}


@clause("CONS-5", "CAP-2")
@pytest.mark.parametrize("level", CONSISTENCY_LEVELS)
def test_a_level_that_none_satisfies_is_refused(harness: Harness, level: Any) -> None:
    """Look for a read that silently answers at a weaker level."""
    if harness.capabilities.consistency & STRONGER[level]:
        vacuous(f"{level} reads are declared, so there is no refusal to look at")
    index = harness.index(dimension=2)
    for read in (index.count, index.scan, lambda **how: index.search([1, 2], **how)):
        with pytest.raises(UnsupportedError) as caught:
            read(consistency=level)
        assert caught.value.capability == "consistency"


@clause("CONS-5", "ERR-2")
def test_a_word_that_is_no_level_is_refused(harness: Harness) -> None:
    """Look at the client layer."""
    index = harness.index(dimension=2)
    level: Any = "eventually consistent"
    with pytest.raises(InvalidArgumentError, match="consistency"):
        index.count(consistency=level)


@clause("CONS-6", "INDEX-4")
@pytest.mark.parametrize("level", CONSISTENCY_LEVELS)
def test_the_level_of_an_index_is_found_again(harness: Harness, level: Any) -> None:
    """Look at what the store keeps of the level that an index was created with."""
    if level not in harness.capabilities.consistency:
        vacuous(f"{level} is not declared")
    index = harness.index(dimension=2, consistency=level)
    assert index.info.consistency == level
    assert harness.store.open_index(index.info.name).info.consistency == level


@clause("CAP-4", "ERR-2")
def test_an_unknown_setting_is_refused(harness: Harness) -> None:
    """Look at the settings type: it must forbid what it does not know."""
    unknown = {"vecbridge_no_such_setting": 1}
    if harness.deployment.opener is None:
        with pytest.raises(UnknownSettingError, match="vecbridge_no_such_setting"):
            get_backend(harness.deployment.backend, **harness.deployment.options, **unknown)
    with pytest.raises(ValueError, match="vecbridge_no_such_setting"):
        type(harness.store.backend).settings_type(**unknown)


@requires("durable")
@clause("WRITE-7", "CAP-3", "INDEX-4")
def test_records_outlive_the_connection(harness: Harness) -> None:
    """Look at what is written when: at the acknowledgement, not at close."""
    index = harness.index(dimension=2, metric="dotproduct")
    index.upsert(["a", "b", "c"], [[1, 2], [3, 4], [5, 6]])
    index.delete(["b"])
    index.upsert(["c"], [[7, 8]])
    again = harness.reopen(index)
    assert again.info.metric == "dotproduct"
    assert contents(again) == contents_of("ac", [[1, 2], [7, 8]])
    assert again.count() == 2
    assert again.search([1, 0], k=5)[0].ids == ("c", "a")


@requires("shared")
@clause("WRITE-7", "CONS-1", "CAP-3")
def test_another_process_reads_and_writes_the_same_records(harness: Harness) -> None:
    """Look for caches in this process, and for writes that stay in it."""
    index = harness.index(dimension=2, metric="euclidean", consistency=harness.strongest)
    index.upsert(["a", "b"], [[1, 2], [3, 4]])
    assert harness.other_process(_read_and_write, index) == ["a", "b"]
    assert index.count() == 2
    assert contents(index) == contents_of("bc", [[3, 4], [5, 6]])
    assert index.search([5, 6], k=1)[0].ids == ("c",)


@requires("durable", "shared")
@clause("WRITE-7", "CONS-1", "INDEX-8")
def test_a_second_connection_and_another_process_lose_nothing(harness: Harness) -> None:
    """Look at files that this process opens and closes beside its connection.

    On POSIX, closing any handle of a file drops every lock that the process holds on it, and the
    next process takes the file for its own.
    """
    index = harness.index(dimension=2, metric="euclidean", consistency=harness.strongest)
    index.upsert(["a", "b"], [[1, 2], [3, 4]])
    with harness.deployment.open() as second:
        assert second.open_index(index.info.name).count() == 2
    assert harness.other_process(_read_and_write, index) == ["a", "b"]
    with harness.deployment.open() as third:
        third.open_index(index.info.name).upsert(["d"], [[7, 8]])
    index.upsert(["e"], [[9, 9]])
    expected = contents_of("bcde", [[3, 4], [5, 6], [7, 8], [9, 9]])
    assert contents(index) == expected
    with harness.deployment.open() as fourth:
        assert contents(fourth.open_index(index.info.name)) == expected


@requires("durable")
@refuses("shared")
@clause("CAP-10", "ERR-2")
def test_a_store_of_one_process_refuses_a_second(harness: Harness) -> None:
    """Look for a second process that reads what is being written, or writes beside it."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a"], [[1, 2]])
    with pytest.raises(VecbridgeError):
        harness.other_process(_read_and_write, index)
    assert contents(index) == contents_of("a", [[1, 2]])


@clause("CAP-2", "CAP-5")
def test_limits_are_the_fronts_business(harness: Harness) -> None:
    """Look at max_k and max_within: the caller never meets them."""
    index = harness.index(dimension=2, metric="euclidean")
    index.upsert(["a", "b"], [[1, 0], [2, 0]])
    with unchanged(index):
        assert index.search([0, 0], k=10**9)[0].ids == ("a", "b")
        many = [f"unknown-{number}" for number in range(3000)]
        assert index.search([0, 0], k=3, within=[*many, "b"])[0].ids == ("b",)


def _read_and_write(backend: str, options: dict[str, Any], name: str) -> list[str]:
    with get_backend(backend, **options) as store:
        index = store.open_index(name)
        found = sorted(each for page in index.scan() for each in page.ids)
        index.delete(["a"])
        index.upsert(["c"], [[5, 6]])
        return found
