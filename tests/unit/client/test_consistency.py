"""Which level a read has: asked for, opened with, created with."""

from __future__ import annotations

from typing import Any

import pytest

from tests.engine import make_engine
from vecbridge import Consistency, Index, InvalidArgumentError, Scope, UnsupportedError

WEAK: frozenset[Consistency] = frozenset({"strong", "session", "eventual"})


def levels(index: Index, engine: Any, asked: Consistency | None = None) -> list[str]:
    """The levels that reach the engine."""
    seen = []
    original = engine.count

    def count(scope: Scope) -> int:
        seen.append(str(scope.consistency))
        return int(original(scope))

    engine.count = count
    index.count(consistency=asked)
    return seen


def test_a_read_has_the_level_that_it_asks_for() -> None:
    engine = make_engine(2, consistency=WEAK)
    assert levels(Index(engine, consistency="session"), engine, "eventual") == ["eventual"]


def test_otherwise_the_level_that_the_index_was_opened_with() -> None:
    engine = make_engine(2, consistency=WEAK)
    index = Index(engine, consistency="session")
    assert levels(index, engine) == ["session"]
    assert index.info.consistency == "session"


def test_otherwise_the_level_that_it_was_created_with() -> None:
    engine = make_engine(2, consistency=WEAK)
    assert levels(Index(engine), engine) == ["strong"]


def test_a_stronger_level_stands_in_for_one_that_is_not_offered() -> None:
    engine = make_engine(2, consistency=WEAK)
    assert levels(Index(engine), engine, "bounded") == ["session"]


def test_nothing_weaker_stands_in() -> None:
    engine = make_engine(2, consistency=frozenset({"eventual"}))
    with pytest.raises(UnsupportedError, match="eventual") as caught:
        Index(engine).count(consistency="session")
    assert caught.value.capability == "consistency"


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="linearizable"):
        Index(make_engine(2)).count(consistency="linearizable")  # type: ignore[arg-type]
