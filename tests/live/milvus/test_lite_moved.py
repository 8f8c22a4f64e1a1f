"""A Milvus Lite directory that is moved, exchanged or removed while it is open.

A write is acknowledged only where the path still leads to the directory that was opened, and then
the record is there: never in another directory, and never in none.
"""

from __future__ import annotations

import ctypes
import json
import os
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from vecbridge import ConnectionFailedError, Index, VecbridgeError
from vecbridge_milvus import MilvusSettings

WRITER = """
import json, sys, time
import vecbridge

path, name, seconds = sys.argv[1], sys.argv[2], float(sys.argv[3])
store = index = None
start, number, kept = time.monotonic(), 0, 0
# On a machine that is busy, it goes on until it has written enough to show something.
while time.monotonic() < start + (seconds if kept >= 15 else 20 * seconds):
    number += 1
    try:
        if index is None:
            store = vecbridge.get_backend("milvus", uri=path, timeout=20)
            index = store.open_index("shared")
        begun = time.monotonic()
        index.upsert([f"{name}{number}"], [[number, 1]])
        print(json.dumps([f"{name}{number}", begun, time.monotonic()]), flush=True)
        kept += 1
    except vecbridge.ConnectionFailedError as refused:
        assert "is not what it was" in str(refused) or "locked" in str(refused), refused
        if store is not None:
            store.close()
        index = None
if store is not None:
    store.close()
"""
SECONDS = float(os.environ.get("VECBRIDGE_EXCHANGES_S", "8"))


def made(path: Path, mark: str) -> None:
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        store.create_index("shared", dimension=2, metric="euclidean").upsert([mark], [[0, 0]])


def records(path: Path) -> set[str]:
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        return {name for batch in store.open_index("shared").scan() for name in batch.ids}


def exchange(first: Path, second: Path) -> None:
    """Exchanges two directories in one step where the system can, else by way of a third name."""
    c = ctypes.CDLL(None, use_errno=True)
    here, swap = -100, 2
    if hasattr(c, "renameat2"):
        assert not c.renameat2(here, os.fsencode(first), here, os.fsencode(second), swap)
        return
    first.rename(third := first.with_name("third"))
    second.rename(first)
    third.rename(second)


@pytest.fixture
def opened(tmp_path: Path) -> Iterator[tuple[Path, Index]]:
    path = tmp_path / "v.db"
    made(path, "first")
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        yield path, store.open_index("shared")


@pytest.mark.slow
def test_every_acknowledged_record_is_where_its_path_led_while_stores_are_exchanged(
    tmp_path: Path,
) -> None:
    generator = random.Random(7)
    places = {"a": tmp_path / "a.db", "b": tmp_path / "b.db"}
    for mark, path in places.items():
        made(path, mark)
    writers = []
    for mark, path in places.items():
        for number in range(2):
            command = [sys.executable, "-c", WRITER, str(path), f"{mark}{number}-", str(SECONDS)]
            # Not a pipe: it is read only at the end, and a fast writer fills one.
            with (tmp_path / f"{mark}{number}.told").open("w") as told_here:
                writers.append(subprocess.Popen(command, stdout=told_here))
    exchanges: list[tuple[float, float]] = []
    while any(process.poll() is None for process in writers):
        time.sleep(generator.uniform(0.2, 1.0))
        begun = time.monotonic()
        exchange(*places.values())
        exchanges.append((begun, time.monotonic()))
    told = [
        (mark, (tmp_path / f"{mark}{number}.told").read_text().splitlines())
        for mark in places
        for number in range(2)
    ]
    assert [process.returncode for process in writers] == [0] * 4
    kept = {}
    for path in places.values():
        found = records(path)
        (mark,) = found & places.keys()
        kept[mark] = found
    count = 0
    for mark, lines in told:
        both = (mark, *(places.keys() - {mark}))
        for name, begun, ended in map(json.loads, lines):
            first = sum(done <= begun for _, done in exchanges)
            last = sum(start <= ended for start, _ in exchanges)
            led = {both[turn % 2] for turn in range(first, last + 1)}
            where = {place for place, found in kept.items() if name in found}
            assert len(where) == 1, name
            assert where <= led, name
            count += 1
    assert count > 50
    assert len(exchanges) > 4


# Milvus Lite leaves a log open that it cannot remove any more.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("fate", ["moved", "removed", "replaced", "emptied", "another"])
def test_what_is_not_there_any_more_is_refused(
    opened: tuple[Path, Index], tmp_path: Path, fate: str
) -> None:
    path, index = opened
    index.upsert(["before"], [[1, 2]])
    away = tmp_path / "away.db"
    if fate == "removed":
        shutil.rmtree(path)
    elif fate == "emptied":
        (path / "vecbridge.json").rename(tmp_path / "aside.json")
    else:
        path.rename(away)
    if fate == "replaced":
        path.mkdir()
    elif fate == "another":
        made(path, "second")
    calls: list[Callable[[], Any]] = [
        lambda: index.upsert(["lost"], [[3, 4]]),
        lambda: index.delete(["before"]),
        index.count,
        lambda: index.search([1, 2], 1),
    ]
    for call in calls:
        with pytest.raises(ConnectionFailedError, match="is not what it was") as refused:
            call()
        assert not refused.value.retryable
    if fate == "moved":
        assert not path.exists()
        # A process that opens it at its new place is served by the one that has it open.
        assert records(away) == {"first", "before"}
        away.rename(path)
        index.upsert(["after"], [[5, 6]])
        assert index.count() == 3
    elif fate == "another":
        # The path is free for what is there now, beside the store that had the other one.
        assert records(path) == {"second"}
        assert records(away) == {"first", "before"}


def test_a_link_that_leads_elsewhere_is_noticed(tmp_path: Path) -> None:
    for mark in ("one", "two"):
        made(tmp_path / f"{mark}.db", mark)
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "one.db")
    with vecbridge.get_backend("milvus", uri=str(link)) as store:
        index = store.open_index("shared")
        index.upsert(["mine"], [[1, 2]])
        link.unlink()
        link.symlink_to(tmp_path / "two.db")
        with pytest.raises(VecbridgeError, match="another directory has taken its place"):
            index.upsert(["lost"], [[1, 2]])
    assert records(tmp_path / "one.db") == {"one", "mine"}
    assert records(tmp_path / "two.db") == {"two"}


def test_a_relative_path_stays_where_it_was_configured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    store = vecbridge.get_backend("milvus", uri="v.db")
    settings = MilvusSettings(uri="v.db")
    monkeypatch.chdir(tmp_path / "elsewhere")
    with store:
        store.create_index("shared", dimension=2).upsert(["a"], [[1, 2]])
    # As they are kept with a run, or handed to another process.
    again = MilvusSettings.model_validate(settings.model_dump(exclude_unset=True))
    assert records(Path(again.uri)) == {"a"}
    assert not (tmp_path / "elsewhere" / "v.db").exists()
