"""Processes and servers that are killed: nothing that was acknowledged is lost."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

import vecbridge
from vecbridge import BackendError, Index
from vecbridge_conformance import Harness, clause, requires, vacuous

_DIMENSION = 4
_KILLS = 3
_WAIT_S = 90.0


def write_until_killed(
    backend: str, options: Mapping[str, Any], name: str, acknowledged: str
) -> None:
    """Write batches of records, and note each in a file once it is acknowledged."""
    with vecbridge.get_backend(backend, **options) as store:
        index = store.open_index(name)
        with Path(acknowledged).open("a", encoding="utf-8") as notes:
            version = 1
            while True:
                _upsert(index, version)
                notes.write(f"{version}\n")
                notes.flush()
                version += 1


def _upsert(index: Index, version: int) -> None:
    """Return four new records, and one that every version replaces."""
    ids = [*(f"v{version}-{number}" for number in range(4)), "latest"]
    index.upsert(ids, np.full((len(ids), _DIMENSION), version, dtype=np.float32))


def _check_kept(index: Index, acknowledged: int) -> None:
    ids = [f"v{version}-{number}" for version in range(1, acknowledged + 1) for number in range(4)]
    found = index.fetch(ids, consistency="strong")
    assert not found.missing, f"of {acknowledged} acknowledged writes, {found.missing} are lost"
    expected = np.repeat(np.arange(1, acknowledged + 1, dtype=np.float32), 4)
    assert (found.vectors == expected[:, np.newaxis]).all()
    latest = index.fetch(["latest"], consistency="strong").vectors[0]
    assert acknowledged <= latest[0] <= acknowledged + 1
    assert (latest == latest[0]).all()


@clause("WRITE-7", "WRITE-9")
@requires("durable", "shared")
def test_a_killed_writer_loses_nothing_that_was_acknowledged(harness: Harness) -> None:
    """Look at what is on disk, or at the server, when a write returns."""
    for _ in range(_KILLS):
        index = harness.index(dimension=_DIMENSION, metric="euclidean")
        notes = harness.folder() / "acknowledged"
        notes.touch()
        writer = harness.start_process(write_until_killed, index, str(notes))
        try:
            _wait_for(notes, 10)
        finally:
            writer.kill()
        acknowledged = notes.read_text(encoding="utf-8").count("\n")
        again = harness.reopen(index)
        _check_kept(again, acknowledged)
        _upsert(again, acknowledged + 1)
        _check_kept(again, acknowledged + 1)


def _wait_for(notes: Path, lines: int) -> None:
    end = time.monotonic() + _WAIT_S
    while notes.read_text(encoding="utf-8").count("\n") < lines:
        assert time.monotonic() < end, "the writer did not get to write in time"
        time.sleep(0.01)


@clause("WRITE-7", "ERR-4")
@requires("durable", "shared")
def test_a_killed_server_loses_nothing_that_was_acknowledged(harness: Harness) -> None:
    """Look at when the server acknowledges, and at how its death is mapped to errors."""
    lifecycle = harness.deployment.lifecycle
    if lifecycle is None:
        vacuous("there is no server, or the deployment does not say how it is killed")
    index = harness.index(dimension=_DIMENSION, metric="euclidean")
    written: list[int] = []
    errors: list[Exception] = []
    enough = threading.Event()
    writer = threading.Thread(target=_write, args=(index, written, errors, enough))
    writer.start()
    while len(written) < 10 and writer.is_alive():
        time.sleep(0.01)
    lifecycle.kill()
    # The write under way fails, or a client that tries again brings it to the server's next life.
    enough.set()
    lifecycle.restart()
    writer.join(_WAIT_S)
    assert not writer.is_alive(), "a write to a killed server never returned"
    assert [type(error) for error in errors if not isinstance(error, BackendError)] == []
    again = harness.reopen(index)
    _check_kept(again, len(written))
    _upsert(again, len(written) + 1)
    _check_kept(again, len(written) + 1)


def _write(
    index: Index, written: list[int], errors: list[Exception], enough: threading.Event
) -> None:
    """Write until the first error, or until it is enough."""
    try:
        while not enough.is_set():
            _upsert(index, len(written) + 1)
            written.append(len(written) + 1)
    except Exception as error:  # noqa: BLE001  (the test looks at what it is)
        errors.append(error)
