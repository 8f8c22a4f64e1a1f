"""Keeping the log short: amortised over many writes, never part of what is acknowledged.

Many small writes are merged, like the digits of a counter: sixty-four neighbours of one level
become one of the next. What takes the place of a run has the number of the run's last write and
sets every id that the run touched to its final state, so it is right for a reader that has seen
all, none or some of the run.

When most of the log is dead, it is written again from the live records under another epoch, which
tells readers to forget what they have read. The pages that this leaves free are given back to the
file system where they are a good part of the file; fewer wait for the next writes.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import dataclass

from vecbridge.local._catalogue import Head
from vecbridge.local._log import Change, Log, net_effect

_SETTLED = 9
"""Level of a segment that is large enough to stay as it is."""
_STEP_PAGES = 32


@dataclass(frozen=True)
class Compaction:
    """When a log is merged, rewritten and shrunk.

    Attributes:
        merged_writes: how many neighbouring writes of one level become one of the next.
        check_every: how many writes lie between two looks at what can be merged.
        spare_rows: a log is rewritten when it holds more dead entries than this, and than live
            records.
        mergeable_bytes: a segment at least this large stays as it is.
        spare_pages: free pages are given back when there are more of them than this, and than a
            share of the file.
        spare_share: that share.
    """

    merged_writes: int = 64
    check_every: int = 16
    spare_rows: int = 4096
    mergeable_bytes: int = 1 << 20
    spare_pages: int = 64
    spare_share: float = 0.25

    def level_of(self, change: Change, level: int = 0) -> int:
        """Return the level of a change that was merged so often; a large one stays as it is."""
        return _SETTLED if change.size >= self.mergeable_bytes else level

    def is_mostly_dead(self, head: Head, live: int) -> bool:
        """Tell whether the log is worth rewriting."""
        return head.logged - live > max(live, self.spare_rows)

    def is_due(self, head: Head) -> bool:
        """Tell whether to look for runs to merge after this write."""
        return head.seq % self.check_every == 0

    def merge_tail(self, connection: sqlite3.Connection, log: Log) -> None:
        """Merge the runs at the end of the log, as far as there are any. Call in a transaction."""
        while True:
            tail = connection.execute(
                "SELECT seq, max(level) FROM segments WHERE index_id = ? "
                "GROUP BY seq ORDER BY seq DESC LIMIT ?",
                (log.index_id, self.merged_writes + self.check_every),
            ).fetchall()
            level = tail[0][1] if tail else _SETTLED
            same = next((at for at, row in enumerate(tail) if row[1] != level), len(tail))
            if level == _SETTLED or same < self.merged_writes:
                return
            self._merge(connection, log, tail[same - 1][0], level + 1)

    def rewrite(
        self, connection: sqlite3.Connection, log: Log, head: Head, live: Callable[[], Change]
    ) -> Head:
        """Replace the log by one write of the live records. Call in a transaction.

        Args:
            connection: where.
            log: which log.
            head: how far it has come.
            live: returns the live records.
        """
        connection.execute("DELETE FROM segments WHERE index_id = ?", (log.index_id,))
        records = live()
        fresh = Head(head.epoch + 1, head.seq + 1, records.weight)
        log.append(connection, fresh.seq, records, _SETTLED, follows=0)
        log.move(connection, "upsert", fresh)
        return fresh

    def shrink(self, connection: sqlite3.Connection) -> None:
        """Give free pages back where they are a good part of the file."""
        (free,) = connection.execute("PRAGMA freelist_count").fetchone()
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        if free <= max(self.spare_pages, int(self.spare_share * pages)):
            return
        # Each step of the statement gives back one page, and only a script is stepped to its end.
        try:
            connection.executescript("PRAGMA incremental_vacuum")
        except sqlite3.OperationalError:
            # A full disk: fewer pages at a time need less room in the log.
            for _ in range(0, free, _STEP_PAGES):
                connection.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")
        # Readers are not waited for: the log is as long as what was moved, and shrinks later then.
        (milliseconds,) = connection.execute("PRAGMA busy_timeout").fetchone()
        connection.execute("PRAGMA busy_timeout = 0")
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            connection.execute(f"PRAGMA busy_timeout = {milliseconds}")

    def _merge(self, connection: sqlite3.Connection, log: Log, first: int, level: int) -> None:
        """Replace the writes from ``first`` on by one."""
        read = list(log.read_after(connection, "upsert", first - 1))
        changes = [change for _, change in read]
        merged = net_effect(changes, log.info.dimension)
        last, follows = read[-1][0].seq, read[0][0].follows
        connection.execute(
            "DELETE FROM segments WHERE index_id = ? AND seq BETWEEN ? AND ?",
            (log.index_id, first, last),
        )
        log.append(connection, last, merged, self.level_of(merged, level), follows=follows)
        head = log.head(connection, "upsert")
        if head is not None:
            spared = sum(change.weight for change in changes) - merged.weight
            log.move(connection, "upsert", head._replace(logged=head.logged - spared))
