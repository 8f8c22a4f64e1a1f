"""Files that were damaged, cut, exchanged or taken from elsewhere: the right answer, or refused."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.interrupts import EXHAUSTIVE
from tests.unit.local.flips import Files, answers, made, outcome
from tests.unit.local.helpers import ROOT, contents, named, new_table, reader, run, vectors
from vecbridge import CorruptStoreError
from vecbridge.local import LocalStore, LocalTable

FILE = "records.vecbridge"
LOG = FILE + "-wal"
EVERY = "every" if EXHAUSTIVE else "some"
KILLED = """
import os, sys
import numpy as np
from vecbridge.local import LocalStore, LocalTable
store = LocalStore(sys.argv[1], backend="sklearn", page_bytes=512)
table = store.create("t", dimension=2, metric="euclidean")
for number in range(int(sys.argv[2])):
    table.upsert([f"{sys.argv[3]}{number}"], np.ones((1, 2), dtype=np.float32))
os._exit(0)
"""


def killed(folder: Path, writes: int, prefix: str = "a") -> Path:
    """A store whose process was killed: all that it wrote is in its log."""
    run(KILLED, folder, writes, prefix)
    return folder


def refused(folder: Path, found: str) -> None:
    """The store is refused, by every way of opening it, and left as it was."""
    before = {file.name: file.read_bytes() for file in folder.iterdir() if file.name[-4:] != "-shm"}
    calls: list[Callable[[LocalStore], object]] = [
        lambda store: store.names(),
        lambda store: store.open("t").count(),
        lambda store: store.create("u", dimension=2, metric="cosine"),
    ]
    for call in calls:
        with pytest.raises(CorruptStoreError, match=found):
            call(LocalStore(folder, backend="test"))
    after = {file.name: file.read_bytes() for file in folder.iterdir() if file.name[-4:] != "-shm"}
    assert after == before


@pytest.mark.slow
@pytest.mark.parametrize("how", ["closed", "killed"])
def test_no_bit_of_a_store_can_turn_over_unnoticed(how: str) -> None:
    """One bit of every byte; all eight, in half an hour, where it is exhaustive."""
    # What is in the file of a killed store is there after a close, too.
    command = [sys.executable, "-m", "tests.unit.local.flips", how, EVERY]
    if how == "killed" and EVERY == "some":
        command.append(LOG)
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["bad_count"] == 0, told["bad"]
    assert told["counts"]["refused"] > 1000


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> tuple[Files, Files, object]:
    """The files of a store that was closed, of one that was killed, and what it answers."""
    folder = tmp_path_factory.mktemp("small")
    closed, alive = made(folder / "closed", "closed"), made(folder / "killed", "killed")
    return closed, alive, answers(folder / "closed")


def test_no_page_of_a_file_can_take_the_place_of_another(
    small: tuple[Files, Files, object],
) -> None:
    closed, _, expected = small
    pages = len(closed[FILE]) // 512
    told: set[str] = set()
    for source, target in itertools.permutations(range(pages), 2):
        content = bytearray(closed[FILE])
        content[target * 512 : (target + 1) * 512] = closed[FILE][source * 512 : (source + 1) * 512]
        told.add(outcome({**closed, FILE: bytes(content)}, expected))
    assert "refused" in told <= {"right", "refused"}


@pytest.mark.parametrize("which", [0, 1])
def test_no_file_can_be_cut_unnoticed(small: tuple[Files, Files, object], which: int) -> None:
    files, expected = (small[0], small[1])[which], small[2]
    told: set[str] = set()
    for name, content in files.items():
        for length in range(0, len(content), 97):
            told.add(outcome({**files, name: content[:length]}, expected).split(",")[0])
    assert "refused" in told <= {"right", "refused"}


ROWS = [
    """UPDATE segments SET index_id = index_id - (SELECT sum(id) FROM indexes);
    UPDATE segments SET index_id = -index_id""",
    "UPDATE segments SET seq = seq + 10 WHERE seq = 2",
    "UPDATE segments SET part = 1, parts = 2 WHERE seq = 1",
    "UPDATE segments SET level = level + 1",
    "UPDATE segments SET follows = 0",
    "DELETE FROM segments WHERE seq = 1",
    "DELETE FROM segments WHERE seq = 2",
    "DELETE FROM segments",
    """INSERT INTO segments SELECT index_id, seq + 5, part, parts, seq, level, checksum, gone, kept,
    deleted, ids, fields, vectors FROM segments WHERE seq = 2""",
    "UPDATE segments SET kept = 1 << 40",
    "UPDATE segments SET kept = -1",
    "UPDATE segments SET gone = 'many'",
    "UPDATE segments SET vectors = zeroblob(1000000)",
    "UPDATE indexes SET metric = 'dotproduct'",
    "UPDATE indexes SET dimension = 1",
    "UPDATE indexes SET name = 'birds' WHERE name = 'cats'",
    "UPDATE indexes SET uid = (SELECT uid FROM indexes WHERE name = 'cats')",
    "UPDATE indexes SET seq = seq - 1, logged = logged - 1",
    "UPDATE indexes SET logged = 1 << 50",
    "DELETE FROM indexes WHERE name = 'dogs'",
    "UPDATE store SET commits = commits - 1",
    "UPDATE store SET commits = commits + 1",
    "DELETE FROM store",
    "INSERT INTO store SELECT * FROM store",
    "DROP TABLE store",
    "ALTER TABLE segments RENAME TO pieces",
]


@pytest.mark.parametrize("statement", ROWS)
def test_no_row_can_be_changed_moved_doubled_or_left_out(
    tmp_path: Path, small: tuple[Files, Files, object], statement: str
) -> None:
    closed, _, expected = small
    (tmp_path / FILE).write_bytes(closed[FILE])
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.executescript(statement)
    connection.close()
    assert outcome({**closed, FILE: (tmp_path / FILE).read_bytes()}, expected) == "refused"


def test_the_log_of_another_store_is_refused(tmp_path: Path) -> None:
    ours, theirs = killed(tmp_path / "a", 3), killed(tmp_path / "b", 5, "b")
    shutil.copy(theirs / LOG, ours / LOG)
    refused(ours, "not all of one store")
    shutil.copy(next(theirs.glob("*-tally-*")), ours)
    refused(ours, "not all of one store")


def test_an_older_log_is_refused(tmp_path: Path) -> None:
    ours = killed(tmp_path / "a", 3)
    older = (ours / LOG).read_bytes()
    code = KILLED.replace('store.create("t", dimension=2, metric="euclidean")', 'store.open("t")')
    run(code, ours, 2, "later")
    assert len((ours / LOG).read_bytes()) > len(older)
    (ours / LOG).write_bytes(older)
    (ours / (FILE + "-shm")).unlink()
    refused(ours, "6 writes to it were acknowledged and it holds 4")


@pytest.mark.parametrize("beside", [(LOG,), (LOG, FILE + "-shm"), ("*",)])
def test_a_log_that_is_gone_is_noticed(tmp_path: Path, beside: tuple[str, ...]) -> None:
    ours = killed(tmp_path / "a", 3)
    for pattern in beside:
        for file in ours.glob(pattern):
            if file.name != FILE:
                file.unlink()
    refused(ours, "its log .* is missing|companion .* is missing")


def test_an_older_file_is_refused(tmp_path: Path) -> None:
    table = new_table(tmp_path / "a")
    table.upsert(named(3), vectors(3))
    store = LocalStore(tmp_path / "a", backend="test")
    del table
    store.close()
    older = (tmp_path / "a" / FILE).read_bytes()
    reader(tmp_path / "a").upsert(["later"], vectors(1))
    (tmp_path / "a" / FILE).write_bytes(older)
    refused(tmp_path / "a", "older copy")


def test_a_file_alone_is_used_only_by_somebody_who_says_so(tmp_path: Path) -> None:
    ours = killed(tmp_path / "a", 3)
    LocalStore(ours, backend="test").open("t").count()
    (tally,) = ours.glob("*-tally-*")
    tally.unlink()
    refused(ours, f"make an empty file {tally.name}")
    tally.touch()
    assert LocalStore(ours, backend="test").open("t").count() == 3
    LocalStore(ours, backend="test").open("t").upsert(["new"], np.ones((1, 2), np.float32))
    assert tally.stat().st_size > 0


def _log_removed(folder: Path, backup: Path) -> None:
    (folder / LOG).unlink()


def _log_replaced(folder: Path, backup: Path) -> None:
    (folder / LOG).unlink()
    shutil.copy(backup / LOG, folder / LOG)


def _copied_in_place(folder: Path, backup: Path) -> None:
    for file in backup.iterdir():
        if not file.name.endswith("-shm"):
            (folder / file.name).write_bytes(file.read_bytes())


def _log_cut(folder: Path, backup: Path) -> None:
    os.truncate(folder / LOG, (folder / LOG).stat().st_size // 2)


def _log_cut_a_little(folder: Path, backup: Path) -> None:
    os.truncate(folder / LOG, (folder / LOG).stat().st_size - 1)


def _log_emptied(folder: Path, backup: Path) -> None:
    os.truncate(folder / LOG, 0)


def _log_header_zeroed(folder: Path, backup: Path) -> None:
    with (folder / LOG).open("r+b") as file:
        file.write(bytes(32))


def _file_in_place(folder: Path, backup: Path) -> None:
    (folder / LOG).unlink()
    (folder / FILE).write_bytes((backup / FILE).read_bytes())


@pytest.mark.parametrize(
    "exchange",
    [
        _log_removed,
        _log_replaced,
        _copied_in_place,
        _log_cut,
        _log_cut_a_little,
        _log_emptied,
        _log_header_zeroed,
        _file_in_place,
    ],
)
@pytest.mark.parametrize("writes", [True, False])
def test_what_is_exchanged_under_an_open_store_is_noticed(
    tmp_path: Path, exchange: Callable[[Path, Path], None], writes: bool
) -> None:
    code = f"""
import sys, numpy as np, vecbridge
from pathlib import Path
from vecbridge.local import LocalStore, LocalTable
from tests.unit.local.test_exchanged import {exchange.__name__} as exchange
folder, backup = map(Path, sys.argv[1:3])
table = LocalStore(folder, backend="test").open("t")
one = np.ones((1, 2), dtype=np.float32)
table.upsert(["newer"], one)
exchange(folder, backup)
for attempt in range(2):
    try:
        table.upsert(["lost"], one) if sys.argv[3] == "True" else table.count()
        print("acknowledged")
    except vecbridge.CorruptStoreError as error:
        print("refused" if "had it open" in str(error) else error)
"""
    folder = killed(tmp_path / "a", 3)
    shutil.copytree(folder, tmp_path / "backup")
    assert run(code, folder, tmp_path / "backup", writes).split() == ["refused"] * 2


HOLDER = KILLED.replace("os._exit(0)", "print('ready', flush=True); sys.stdin.read()")


@pytest.mark.skipif(sys.version_info < (3, 11), reason="Python 3.10 tells no codes of SQLite")
@pytest.mark.parametrize("size", [0, 4096])
def test_a_log_that_another_process_uses_and_that_was_cut_is_refused(
    tmp_path: Path, size: int
) -> None:
    command = [sys.executable, "-c", HOLDER, str(tmp_path), "20", "a"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"ready\n"
            os.truncate(tmp_path / LOG, size)
            with pytest.raises(CorruptStoreError, match=f"{LOG} .*is shorter than what"):
                LocalStore(tmp_path, backend="test").open("t").count()
        finally:
            holder.kill()


WRITER = """
import random, sys, time
import numpy as np
from vecbridge.local import LocalStore, LocalTable
rng, end = random.Random(sys.argv[2]), time.monotonic() + 6
store = LocalStore(sys.argv[1], backend="test")
count = 0
while time.monotonic() < end:
    # Large ones begin the log again, which cuts it to size.
    size = rng.choice([1, 5, 400, 4000])
    ids = [f"{sys.argv[2]}-{number}" for number in range(size)]
    store.open("t").upsert(ids, np.full((size, 256), count, dtype=np.float32))
    count += 1
    if rng.random() < 0.1:
        store.close()
        store = LocalStore(sys.argv[1], backend="test")
print(count)
"""


@pytest.mark.slow
def test_what_other_processes_do_to_the_log_is_not_taken_for_an_exchange(tmp_path: Path) -> None:
    table = new_table(tmp_path, dimension=256)
    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(run, WRITER, tmp_path, number) for number in range(3)]
        while not all(writer.done() for writer in writers):
            table.count()
        assert all(int(writer.result()) for writer in writers)
    assert contents(table) == contents(reader(tmp_path))


def long_logged(folder: Path) -> tuple[LocalTable, Callable[..., None]]:
    """A store whose log SQLite has begun again in the same file, and a way to write to it."""
    table = LocalStore(folder, backend="test").create("t", dimension=1024, metric="euclidean")
    log = folder / LOG

    def write(name: str, records: int = 1) -> None:
        table.upsert([f"{name}-{at}" for at in range(records)], vectors(records, 1024))

    for number in range(12):
        write(f"large{number}", records=500)
    beginning, number = log.read_bytes()[:32], 0
    while log.read_bytes()[:32] == beginning:
        write(f"more{number}", records=400)
        number += 1
    write("early")
    return table, write


@pytest.mark.parametrize("whole", [False, True])
def test_an_older_copy_with_a_log_that_kept_its_length_is_noticed(
    tmp_path: Path, whole: bool
) -> None:
    """Its length and beginning say nothing then, nor do the times of a backup that keeps them."""
    folder, backup = tmp_path / "store", tmp_path / "backup"
    table, write = long_logged(folder)
    shutil.copytree(folder, backup)
    for number in range(4):
        write(f"late{number}")
    assert (folder / LOG).stat().st_size == (backup / LOG).stat().st_size
    for file in backup.iterdir() if whole else [backup / LOG]:
        shutil.copyfile(file, folder / file.name)
        if whole:
            shutil.copystat(file, folder / file.name)
    for _ in range(3):
        with pytest.raises(CorruptStoreError, match="exchanged"):
            write("after")
        with pytest.raises(CorruptStoreError, match="exchanged"):
            table.count()
        with pytest.raises(CorruptStoreError, match="exchanged"):
            LocalStore(folder, backend="test").names()


def test_an_empty_store_does_not_take_the_place_of_one_that_is_gone(tmp_path: Path) -> None:
    store = LocalStore(tmp_path, backend="test")
    store.create("t", dimension=4, metric="euclidean")
    store.close()
    (tmp_path / FILE).unlink()
    refused(tmp_path, "is missing, but its companion .* acknowledged writes is there")
    for left in tmp_path.iterdir():
        left.unlink()
    assert LocalStore(tmp_path, backend="test").names() == []


def test_a_tally_that_another_maker_takes_away_claims_nothing(tmp_path: Path) -> None:
    (tmp_path / f"{FILE}-tally-000001").symlink_to(tmp_path / "taken-away")
    assert LocalStore(tmp_path, backend="test").names() == []


@pytest.mark.skipif(sys.platform == "win32", reason="there are no pipes among the files")
@pytest.mark.parametrize("which", ["main", "log", "tally"])
def test_a_pipe_among_the_files_is_refused_at_once(tmp_path: Path, which: str) -> None:
    store = LocalStore(tmp_path, backend="test")
    store.create("t", dimension=4, metric="euclidean")
    store.close()
    (tally,) = tmp_path.glob(f"{FILE}-tally-*")
    pipe = {"main": tmp_path / FILE, "log": tmp_path / LOG, "tally": tally}[which]
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe)
    with pytest.raises(CorruptStoreError, match="is no regular file"):
        LocalStore(tmp_path, backend="test").open("t")
