"""Files that are torn, foreign or newer; disks that are full or closed to us."""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.unit.local.helpers import contents, named, new_table, reader, run, vectors
from vecbridge import (
    BackendError,
    CorruptStoreError,
    IndexNotFoundError,
    OperationTimeoutError,
)
from vecbridge.local import Compaction, LocalStore

FILE = "records.vecbridge"


def empty(file: Path) -> None:
    file.write_bytes(b"")


def cut_in_header(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:60])


def cut_in_half(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def cut_last_page(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-16384])


def text(file: Path) -> None:
    file.write_text("these are my notes, not a database\n" * 100)


def other_program(file: Path) -> None:
    file.unlink()
    connection = sqlite3.connect(file)
    connection.execute("CREATE TABLE photos (id INTEGER)")
    connection.commit()
    connection.close()


def newer_format(file: Path) -> None:
    _execute(file, "PRAGMA user_version = 3")


def missing_segment(file: Path) -> None:
    _execute(file, "DELETE FROM segments WHERE seq = 1")


def missing_last_segment(file: Path) -> None:
    _execute(file, "DELETE FROM segments WHERE seq = (SELECT max(seq) FROM segments)")


def changed_ids(file: Path) -> None:
    _execute(file, "UPDATE segments SET ids = replace(ids, 'id1', 'id2') WHERE seq = 1")


def changed_vectors(file: Path) -> None:
    whole = bytearray(file.read_bytes())
    needle = vectors(1000)[500].tobytes()
    assert needle in whole
    whole[whole.index(needle) + 2] ^= 1
    file.write_bytes(whole)


def _execute(file: Path, statement: str) -> None:
    connection = sqlite3.connect(file)
    connection.execute(statement)
    connection.commit()
    connection.close()


DAMAGES: list[tuple[Callable[[Path], None], str]] = [
    (empty, "0 bytes"),
    (cut_in_header, "60 bytes"),
    (cut_in_half, "malformed|should end at|checksum"),
    (cut_last_page, "malformed|should end at|checksum"),
    (text, "not a SQLite database"),
    (other_program, "another program"),
    (newer_format, "format version 3"),
    (missing_segment, "write 2, which follows write 1"),
    (missing_last_segment, "should end at write 3"),
    (changed_ids, "checksum"),
    (changed_vectors, "checksum"),
]


@pytest.mark.parametrize(
    ("damage", "found"), DAMAGES, ids=[damage.__name__ for damage, _ in DAMAGES]
)
def test_a_damaged_file_is_an_error_that_names_it_and_leaves_it_alone(
    tmp_path: Path, damage: Callable[[Path], None], found: str
) -> None:
    store = LocalStore(tmp_path, backend="test")
    table = store.create("t", dimension=4, metric="cosine")
    for start in (0, 1000, 2000):
        table.upsert(named(1000, start), vectors(1000))
    store.close()
    file = tmp_path / FILE
    damage(file)
    before = file.read_bytes()
    with pytest.raises(CorruptStoreError, match=found) as caught:
        LocalStore(tmp_path, backend="test").open("t").count()
    assert str(file) in str(caught.value)
    assert "left untouched" in str(caught.value)
    assert (caught.value.backend, caught.value.retryable) == ("test", False)
    assert file.read_bytes() == before


def test_a_reader_that_is_under_way_notices_damage_in_what_is_new(tmp_path: Path) -> None:
    table, follower = new_table(tmp_path), reader(tmp_path)
    table.upsert(named(3), vectors(3))
    assert follower.count() == 3
    table.upsert(["more"], vectors(1))
    _execute(tmp_path / FILE, "UPDATE segments SET checksum = checksum + 1 WHERE seq = 2")
    with pytest.raises(CorruptStoreError, match="write 2"):
        follower.count()
    with pytest.raises(CorruptStoreError, match="write 2"):
        follower.count()


def test_a_killed_maker_leaves_no_file_under_the_real_name(tmp_path: Path) -> None:
    code = """
import os, sys
from vecbridge.local import Compaction, LocalStore
os.link = lambda *_: os._exit(0)
LocalStore(sys.argv[1], backend="test").create("t", dimension=4, metric="euclidean")
"""
    run(code, tmp_path)
    assert [path.name[:8] for path in tmp_path.iterdir()] == [".making-"]
    assert LocalStore(tmp_path, backend="test").names() == []
    assert new_table(tmp_path).count() == 0


def test_a_full_disk_changes_nothing_and_writing_goes_on_when_there_is_room(
    tmp_path: Path,
) -> None:
    new_table(tmp_path).upsert(named(3), vectors(3))
    (pages,) = sqlite3.connect(tmp_path / FILE).execute("PRAGMA page_count").fetchone()
    table = reader(tmp_path, max_pages=pages + 2)
    before = contents(table)
    with pytest.raises(BackendError, match=r"upsert failed .* full") as caught:
        table.upsert(named(50000, start=1), vectors(50000))
    assert (caught.value.operation, caught.value.retryable) == ("upsert", True)
    assert contents(table) == contents(reader(tmp_path)) == before
    table.upsert(["room"], vectors(1))
    assert reader(tmp_path).count() == 4


def test_a_write_beyond_the_file_size_limit_changes_nothing(tmp_path: Path) -> None:
    code = """
import resource, sys
import numpy as np
import vecbridge
from vecbridge.local import Compaction, LocalStore
table = LocalStore(sys.argv[1], backend="test").open("t")
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
try:
    ids = [str(number) for number in range(500000)]
    table.upsert(ids, np.zeros((500000, 4), dtype=np.float32))
except vecbridge.BackendError as error:
    print(type(error).__name__, table.count())
"""
    new_table(tmp_path).upsert(named(3), vectors(3))
    assert run(code, tmp_path) == "BackendError 3"
    assert reader(tmp_path).count() == 3


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that other users can reach; pytest closes its own to them."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.skipif(not hasattr(os, "setuid"), reason="needs another user to be")
@pytest.mark.parametrize("mode", [0o555, 0o000])
def test_a_folder_that_is_closed_to_us_is_a_clear_error(public_folder: Path, mode: int) -> None:
    code = """
import os, sys
import numpy as np
import vecbridge
from vecbridge.local import Compaction, LocalStore
if os.getuid() == 0:
    os.setuid(65534)
store = LocalStore(sys.argv[1], backend="test")
for call in (
    lambda: LocalStore(sys.argv[1] + "/new", "test").create("t", dimension=2, metric="cosine"),
    lambda: store.open("t").upsert(["a"], np.zeros((1, 4), dtype=np.float32)),
):
    try:
        call()
    except vecbridge.BackendError as error:
        print(type(error).__name__, error.retryable, sys.argv[1] in str(error))
"""
    folder = public_folder / "closed"
    new_table(folder).upsert(named(3), vectors(3))
    (folder / FILE).chmod(0o444)
    folder.chmod(mode)
    assert run(code, folder).splitlines() == ["BackendError False True"] * 2


def test_a_path_that_is_a_file_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("notes")
    with pytest.raises(BackendError, match="Check that the path is a directory"):
        new_table(tmp_path / "file")


def test_a_lock_that_is_never_released_is_a_retryable_timeout(
    tmp_path: Path,
) -> None:
    table = new_table(tmp_path, busy_seconds=0.2)
    other = sqlite3.connect(tmp_path / FILE, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationTimeoutError, match="another process holds") as caught:
        table.upsert(named(1), vectors(1))
    assert caught.value.retryable
    assert table.count() == 0
    other.execute("ROLLBACK")
    other.close()
    table.upsert(named(1), vectors(1))
    assert table.count() == 1


def test_a_file_that_was_replaced_is_not_mistaken_for_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "store"
    table = new_table(folder)
    table.upsert(named(3), vectors(3))
    folder.rename(tmp_path / "old")
    with pytest.raises(BackendError, match="No such file"):
        table.count()
    newer = new_table(folder, dimension=2)
    newer.upsert(["other"], vectors(1, dimension=2))
    with pytest.raises(IndexNotFoundError, match="was replaced"):
        table.count()
    with pytest.raises(IndexNotFoundError, match="was replaced"):
        table.upsert(named(1), vectors(1))
    assert contents(reader(folder)) == contents(newer)
    assert reader(tmp_path / "old").count() == 3


def test_a_store_opens_the_indexes_of_the_file_that_took_the_place(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "store", backend="test")
    table = store.create("t", dimension=4, metric="cosine")
    table.upsert(named(3), vectors(3))
    shutil.rmtree(tmp_path / "store")
    assert store.names() == []
    again = store.create("t", dimension=4, metric="cosine")
    assert again.count() == store.open("t").count() == 0


def test_a_log_without_its_file_is_not_taken_for_an_empty_store(tmp_path: Path) -> None:
    table = new_table(tmp_path)
    table.upsert(named(3), vectors(3))
    (tmp_path / FILE).unlink()
    store = LocalStore(tmp_path, backend="test")
    for call in (
        store.names,
        lambda: store.open("t"),
        lambda: store.create("t", dimension=4, metric="cosine"),
    ):
        with pytest.raises(CorruptStoreError, match="missing, but its log"):
            call()


class FullDisk(Compaction):
    """Compaction that finds no room."""

    tried = 0

    def merge_tail(self, *_: object) -> None:
        FullDisk.tried += 1
        raise sqlite3.OperationalError("database or disk is full")


def test_compaction_that_fails_does_not_fail_the_write(tmp_path: Path) -> None:
    table = new_table(tmp_path, compaction=FullDisk(check_every=1))
    table.upsert(named(3), vectors(3))
    assert FullDisk.tried == 1
    assert table.count() == reader(tmp_path).count() == 3


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("dimension", "four"),
        ("dimension", 0),
        ("metric", "manhattan"),
        ("fields", "{"),
        ("fields", "[]"),
        ("fields", '{"n": "complex"}'),
        ("consistency", b"strong"),
    ],
)
def test_a_damaged_row_of_the_table_of_indexes_is_told(
    tmp_path: Path, column: str, value: object
) -> None:
    new_table(tmp_path).upsert(named(3), vectors(3))
    with sqlite3.connect(tmp_path / FILE) as connection:
        connection.execute(f"UPDATE indexes SET {column} = ?", (value,))
    connection.close()
    with pytest.raises(CorruptStoreError, match="index 't' makes no sense"):
        reader(tmp_path)


def test_memory_that_runs_out_is_the_contracts_error(tmp_path: Path) -> None:
    table = new_table(tmp_path)
    table.upsert(named(3), vectors(3))
    # More than a process can address, in a sequence and an array that take next to nothing.
    count = 1 << 46
    ids: Any = range(count)
    with pytest.raises(BackendError, match=r"upsert .* ran out of memory"):
        table.upsert(ids, np.broadcast_to(vectors(1), (count, 4)))
    assert table.count() == reader(tmp_path).count() == 3
