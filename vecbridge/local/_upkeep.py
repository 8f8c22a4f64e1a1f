"""Keeping the log short: amortised over many writes, never part of what is acknowledged.

Many small writes are merged, like the digits of a counter: sixty-four neighbours of one level
become one of the next. What takes the place of a run has the number of the run's last write and
sets every id that the run touched to its final state, so it is right for a reader that has seen
all, none or some of the run.

When most of the log is dead, it is written anew from the live records under another epoch, which
tells readers to forget what they have read. The pages that this leaves free are given back to the
file system where they are a good part of the file; fewer wait for the next writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from vecbridge.local import _log as log
from vecbridge.local._catalogue import Head
from vecbridge.local._change import Change, net_effect
from vecbridge.local._format import BUSY_SECONDS

RUN = 64
CHECK_EVERY = 16
SPARE_ROWS = 4096
_SPARE_PAGES = 64
_FREE = 4
_STEP_PAGES = 32


def level_of(change: Change) -> int:
    """The level that a fresh write begins at."""
    return log.SETTLED if change.size >= log.MERGEABLE_BYTES else 0


def is_mostly_dead(head: Head, live: int) -> bool:
    """Whether the log is worth rewriting."""
    return head.logged - live > max(live, SPARE_ROWS)


def merge_tail(connection: sqlite3.Connection, of: log.Log) -> None:
    """Merge the runs at the end of the log, as far as there are any. Call in a transaction."""
    while True:
        tail = connection.execute(
            "SELECT seq, max(level) FROM segments WHERE index_id = ? "
            "GROUP BY seq ORDER BY seq DESC LIMIT ?",
            (of.index_id, RUN + CHECK_EVERY),
        ).fetchall()
        level = tail[0][1] if tail else log.SETTLED
        same = next((at for at, row in enumerate(tail) if row[1] != level), len(tail))
        if level == log.SETTLED or same < RUN:
            return
        _merge(connection, of, tail[same - 1][0], level + 1)


def _merge(connection: sqlite3.Connection, of: log.Log, first: int, level: int) -> None:
    """Replace the writes from ``first`` on by one."""
    read = list(of.read_after(connection, "upsert", first - 1))
    changes = [change for _, change in read]
    merged = net_effect(changes, of.info.dimension)
    last, follows = read[-1][0].seq, read[0][0].follows
    connection.execute(
        "DELETE FROM segments WHERE index_id = ? AND seq BETWEEN ? AND ?",
        (of.index_id, first, last),
    )
    grown = log.SETTLED if merged.size >= log.MERGEABLE_BYTES else level
    of.append(connection, last, merged, grown, follows=follows)
    head = of.head(connection, "upsert")
    if head is not None:
        spared = sum(change.weight for change in changes) - merged.weight
        of.move(connection, "upsert", head._replace(logged=head.logged - spared))


def rewrite(
    connection: sqlite3.Connection, of: log.Log, head: Head, live: Callable[[], Change]
) -> Head:
    """Replace the log by one write of the live records. Call in a transaction."""
    connection.execute("DELETE FROM segments WHERE index_id = ?", (of.index_id,))
    records = live()
    fresh = Head(head.epoch + 1, head.seq + 1, records.weight)
    of.append(connection, fresh.seq, records, log.SETTLED, follows=0)
    of.move(connection, "upsert", fresh)
    return fresh


def shrink(connection: sqlite3.Connection) -> None:
    """Gives free pages back where they are more than a quarter of the file."""
    (free,) = connection.execute("PRAGMA freelist_count").fetchone()
    (pages,) = connection.execute("PRAGMA page_count").fetchone()
    if free > max(_SPARE_PAGES, pages // _FREE):
        # Each step of the statement gives back one page, and only a script is stepped to its end.
        try:
            connection.executescript("PRAGMA incremental_vacuum")
        except sqlite3.OperationalError:
            # A full disk: fewer pages at a time need less room in the log.
            for _ in range(0, free, _STEP_PAGES):
                connection.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")
        # Readers are not waited for: the log is as long as what was moved, and shrinks later then.
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {int(1000 * BUSY_SECONDS)}")
