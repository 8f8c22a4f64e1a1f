"""The approximate index that may be built over a table."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

from psycopg import sql

from vecbridge_pgvector._connection import Session
from vecbridge_pgvector._layout import Layout
from vecbridge_pgvector._settings import PgvectorSettings

_OPCLASSES = {"cosine": "vector_cosine_ops", "dotproduct": "vector_ip_ops"}
_EF = (40, 80, 160, 320, 640, 1000)
_FEWEST_ROWS = 1000
_FEW_LISTS = 4


class ApproximateIndex:
    """An HNSW or IVFFlat index, built when it is first of use, and sized to the records.

    Args:
        layout: of the table.
        settings: how it is built.
    """

    def __init__(self, layout: Layout, settings: PgvectorSettings) -> None:
        self._layout = layout
        self._settings = settings
        self._lists = 1

    @property
    def efforts(self) -> Sequence[int]:
        """The values of ``hnsw.ef_search``, or of ``ivfflat.probes``, that are worth trying."""
        if self._layout.index_type == "hnsw":
            return _EF
        powers = (1 << power for power in range(20))
        return [*takewhile(lambda value: value < self._lists, powers), self._lists]

    def use(self, client: Session, effort: int) -> None:
        """Search with an effort from now on, over this session."""
        hnsw = self._layout.index_type == "hnsw"
        name = "hnsw.ef_search" if hnsw else "ivfflat.probes"
        if client.effort == (name, effort):
            return
        # Where a filter leaves less than were asked for, the search goes on.
        scan = f"{self._layout.index_type}.iterative_scan"
        query = "SELECT set_config(%s, %s, false), set_config(%s, 'relaxed_order', false)"
        client.execute(query, [name, str(effort), scan])
        client.effort = name, effort

    def prepare(self, client: Session, records: int) -> None:
        """Build the index where there is none, or where its lists have become few."""
        settings, lists = self._settings, self._built(client)
        wanted = settings.ivfflat_lists or max(1, records // 1000)
        few = settings.ivfflat_lists is None and (lists or 0) * _FEW_LISTS < wanted
        outgrown = lists is None or (self._layout.index_type == "ivfflat" and few)
        if self._layout.owned and outgrown and records >= _FEWEST_ROWS:
            with client.patiently(), client.transaction():
                # One builder at a time, of all processes.
                lock = "SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))"
                client.execute(lock, [self._layout.table.as_string(client)])
                if self._built(client) == lists:
                    self._build(client, wanted)
            lists = self._built(client)
        self._lists = lists or 1

    def _built(self, client: Session) -> int | None:
        """Return how many lists the index has, 1 of HNSW; ``None`` where there is no index."""
        rows = self._indexes(client)
        options = dict(option.split("=") for row in rows for option in row[1] or ())
        return int(options.get("lists", 1)) if rows else None

    def _build(self, client: Session, lists: int) -> None:
        settings, kind = self._settings, self._layout.index_type
        options = {"lists": lists}
        if kind == "hnsw":
            options = {"m": settings.hnsw_m, "ef_construction": settings.hnsw_ef_construction}
        if settings.maintenance_work_mem is not None:
            memory = [settings.maintenance_work_mem]
            client.execute("SELECT set_config('maintenance_work_mem', %s, true)", memory)
        for row in self._indexes(client):
            client.execute(
                sql.SQL("DROP INDEX {}").format(sql.Identifier(self._settings.schema_name, row[0]))
            )
        pairs = (
            sql.SQL("{} = {}").format(sql.Identifier(key), sql.Literal(value))
            for key, value in options.items()
        )
        client.execute(
            sql.SQL("CREATE INDEX ON {} USING {} ({} {}) WITH ({})").format(
                self._layout.table,
                sql.Identifier(kind),
                self._layout.vector,
                sql.Identifier(_OPCLASSES.get(self._layout.info.metric, "vector_l2_ops")),
                sql.SQL(", ").join(pairs),
            )
        )

    def _indexes(self, client: Session) -> list[tuple[str, list[str] | None]]:
        query = """
            SELECT c.relname, c.reloptions FROM pg_index i
            JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
            WHERE i.indrelid = %s::regclass AND a.amname = %s AND i.indisvalid
        """
        given = [self._layout.table.as_string(client), self._layout.index_type]
        return client.execute(query, given).fetchall()
