"""A real server behind a proxy that cuts, freezes and delays: no error lies, nothing is lost."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pytest

from vecbridge import BackendError, Index
from vecbridge_conformance import Harness, Wire, clause, requires, vacuous

_DIMENSION = 4
_IDS = [f"id-{number:02}-{'x' * 40}" for number in range(12)]
_OLD = np.full((len(_IDS), _DIMENSION), 1.0, dtype=np.float32)
_NEW = np.full((len(_IDS), _DIMENSION), 2.0, dtype=np.float32)
_TIMEOUT_S = 3.0
_SLACK_S = 20.0
_ROUNDS = 6


@contextmanager
def _behind(harness: Harness) -> Iterator[tuple[Wire, Index, Index]]:
    """Yield the wire, an index of old records through it, and the same index without it."""
    direct = harness.index(dimension=_DIMENSION, metric="euclidean")
    direct.upsert(_IDS, _OLD)
    with harness.through_wire(_TIMEOUT_S) as there:
        if there is None:
            vacuous("the deployment names no server that a proxy could stand before")
        wire, store = there
        index = store.open_index(direct.info.name)
        assert index.fetch(_IDS, consistency="strong").vectors.tolist() == _OLD.tolist()
        yield wire, index, direct


def _values(index: Index) -> list[float]:
    """Return the one coordinate of each record; 0 where it is not there. Never a mixture."""
    found = index.fetch(_IDS, consistency="strong")
    known = dict(zip(found.ids, found.vectors.tolist(), strict=True))
    rows = [known.get(name, [0.0] * _DIMENSION) for name in _IDS]
    assert all(row == [row[0]] * _DIMENSION for row in rows), "a vector is half old and half new"
    return [row[0] for row in rows]


def _attempt(call: Callable[[], object]) -> BackendError | None:
    """Return the error of a call, if any: a client may well do a lost call again by itself."""
    try:
        call()
    except BackendError as error:
        return error
    return None


def _persisted(call: Callable[[], object]) -> None:
    """Make a call until it succeeds, as its errors allow."""
    end = time.monotonic() + _SLACK_S
    while (error := _attempt(call)) is not None:
        assert error.retryable, f"the next call says that it cannot be done again: {error!r}"
        assert time.monotonic() < end, f"the connection does not come back: {error!r}"


@clause("WRITE-9", "WRITE-6", "ERR-4")
@requires("shared")
@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("operation", ["upsert", "delete"])
def test_a_write_whose_connection_is_cut_is_safe_to_do_again(
    harness: Harness, operation: str, moment: str
) -> None:
    """Look at how lost connections are mapped: retryable, and nothing done by halves."""
    with _behind(harness) as (wire, index, direct):
        call: Callable[[], object] = (
            (lambda: index.upsert(_IDS, _NEW))
            if operation == "upsert"
            else (lambda: index.delete(_IDS))
        )
        after = 2.0 if operation == "upsert" else 0.0
        _arm(wire, moment)
        error = _attempt(call)
        assert wire.cuts == 1, "the call went by another way than the proxy"
        assert set(_values(direct)) <= ({1.0, after} if error is not None else {after})
        assert error is None or error.retryable
        _persisted(call)
        assert _values(direct) == [after] * len(_IDS)
        assert direct.count(consistency="strong") == (0 if operation == "delete" else len(_IDS))


@clause("ERR-4")
@requires("shared")
@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_read_whose_connection_is_cut_fails_or_is_right(harness: Harness, moment: str) -> None:
    """Look at reads that answer from what had arrived before the connection ended."""
    with _behind(harness) as (wire, index, _):
        reads: list[Callable[[], object]] = [
            lambda: index.fetch(_IDS, consistency="strong").ids,
            lambda: index.search(_OLD[:2], 3, within=_IDS, consistency="strong"),
            lambda: sorted(name for page in index.scan(5) for name in page.ids),
        ]
        for read in reads:
            expected = read()
            _arm(wire, moment)
            found: list[object] = []
            error = _attempt(lambda read=read, found=found: found.append(read()))  # type: ignore[misc]
            assert error is None or error.retryable
            assert found in ([], [expected])
            _persisted(read)
            assert read() == expected


@clause("ERR-4", "WRITE-9")
@requires("shared")
def test_a_server_that_freezes_ends_no_call_late_and_comes_back(harness: Harness) -> None:
    """Look at the timeout of calls over a connection that is open and silent."""
    with _behind(harness) as (wire, index, direct):
        start = time.monotonic()
        with wire.frozen():
            error = _attempt(lambda: index.upsert(_IDS, _NEW))
        assert time.monotonic() - start < _TIMEOUT_S + _SLACK_S
        assert error is not None, "a write was acknowledged by a server that nothing reached"
        assert error.retryable
        assert set(_values(direct)) <= {1.0, 2.0}
        _persisted(lambda: index.upsert(_IDS, _NEW))
        assert _values(direct) == [2.0] * len(_IDS)


@clause("WRITE-7", "ERR-4")
@requires("shared")
def test_what_was_acknowledged_survives_cuts_and_delays(harness: Harness) -> None:
    """Look at writes that report success before the server has answered."""
    with _behind(harness) as (wire, index, direct):
        acknowledged: dict[str, float] = dict.fromkeys(_IDS, 1.0)
        with wire.delayed(0.01):
            for step in range(_ROUNDS):
                if step % 2:
                    _arm(wire, "after" if step % 4 == 1 else "before")
                name = f"new-{step}-{'x' * 200}"
                row = np.full((1, _DIMENSION), 10.0 + step, dtype=np.float32)
                if _attempt(lambda name=name, row=row: index.upsert([name], row)) is None:  # type: ignore[misc]
                    acknowledged[name] = 10.0 + step
        found = direct.fetch(acknowledged, consistency="strong")
        assert not found.missing, f"acknowledged, and lost: {found.missing}"
        assert found.vectors[:, 0].tolist() == list(acknowledged.values())


def _arm(wire: Wire, moment: str) -> None:
    if moment == "before":
        wire.cut_before_next_request()
    else:
        wire.cut_after_next_request()
