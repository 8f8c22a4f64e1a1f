"""One table: the collection that an index is kept in."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from lancedb import index as indexes
from lancedb.query import ColumnOrdering
from numpy.typing import NDArray

from vecbridge import (
    Capabilities,
    ConfigurationError,
    Fields,
    IdRange,
    Metric,
    Records,
    SchemaMismatchError,
    Scope,
)
from vecbridge.fields import FIELD_TYPES, base_of
from vecbridge.filters import FILTER_OPERATORS
from vecbridge.ranking import ScoreForm
from vecbridge.remote import NORM, Columns, Nearest, Page, id_bounds
from vecbridge_lancedb._connection import Database
from vecbridge_lancedb._filters import Translator, text, texts
from vecbridge_lancedb._layout import Layout, norm_of, quoted
from vecbridge_lancedb._settings import LancedbSettings

MAX_DIMENSION = 32_768
_BATCH_BYTES = 8 << 20
_COMPACTED_AFTER = 64
"""Versions between two compactions: with more small files, searches take twice the time."""

_GROWN = 2
_APART = 1e-6
_LONGEST_VECTOR = 1e300
"""No vector of finite float32 values is as long; LanceDB's client takes infinite ones."""

_EF = (64, 128, 256, 512, 1024, 2048, 4096)
_NPROBES = tuple(1 << power for power in range(13))
_DISTANCES: dict[Metric, str] = {"cosine": "cosine", "dotproduct": "dot", "euclidean": "l2"}
_FORMS: dict[Metric, ScoreForm] = {
    "cosine": "distance",
    "dotproduct": "one-minus",
    "euclidean": "squared",
}
_INDEXES: dict[str, str] = {
    "ivf_flat": "IvfFlat",
    "ivf_sq": "IvfSq",
    "ivf_pq": "IvfPq",
    "ivf_rq": "IvfRq",
    "ivf_hnsw_flat": "HnswFlat",
    "ivf_hnsw_sq": "HnswSq",
    "ivf_hnsw_pq": "HnswPq",
}


class Table:
    """Implements :class:`vecbridge.remote.Collection` on a table.

    Args:
        layout: of the table.
        settings: how it is searched.
    """

    exhaustive = True

    def __init__(self, layout: Layout, settings: LancedbSettings) -> None:
        self._layout = layout
        self._settings = settings
        self._key = quoted(layout.key)
        self._timeout = timedelta(seconds=settings.timeout)
        self._hnsw = "hnsw" in settings.index_type
        self.info = layout.info
        self.form: ScoreForm = _FORMS[self.info.metric]
        self.efforts = _EF if self._hnsw else _NPROBES
        columns = {name: quoted(column) for name, column in layout.fields.items()}
        self._filters = Translator({**columns, NORM: layout.norm}, self.info.fields)
        exact = settings.index_type == "none"
        self.capabilities = Capabilities(
            exact=exact,
            recall=None if exact else settings.recall,
            range_search=False,
            farthest=False,
            partitions=True,
            max_dimension=MAX_DIMENSION,
            max_k=None,
            max_within=50_000,
            max_batch_bytes=_BATCH_BYTES,
            field_types=frozenset(FIELD_TYPES),
            filters=FILTER_OPERATORS,
            filters_except=frozenset(),
            consistency=frozenset({"strong"}),
            durable=True,
            shared=True,
        )

    def put(
        self,
        client: Database,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        """Merge records into the table, as one version of it."""
        layout = self._layout
        table = self._current(client)
        version = table.version
        if added := set(table.schema.names) - layout.columns - layout.info.unsupported.keys():
            raise SchemaMismatchError(
                f"another program added column {min(added)!r} to index {layout.info.name!r} after "
                f"it was opened; open it again"
            )
        given: dict[str, Any] = {layout.key: list(ids), layout.norm: norms}
        given.update((layout.fields[name], column) for name, column in fields.items())
        columns = []
        for field in table.schema:
            if field.name == layout.vector:
                flat = pa.array(np.ascontiguousarray(vectors).reshape(-1))
                columns.append(pa.FixedSizeListArray.from_arrays(flat, type=field.type))
            elif field.name in given:
                columns.append(pa.array(given[field.name], field.type))
            else:
                columns.append(pa.nulls(len(ids), field.type))
        # Through an index on the key, LanceDB does not see that another writer inserts the same id.
        # Without it, a write among 100 000 records takes 15 ms instead of 11.
        merge = table.merge_insert(layout.key).use_index(False).when_matched_update_all()
        done = merge.when_not_matched_insert_all().execute(
            pa.Table.from_arrays(columns, schema=table.schema), timeout=self._timeout
        )
        twins = done.num_updated_rows + done.num_inserted_rows > len(ids)
        if twins or (not layout.owned and done.version > version + 1):
            self._without_twins(client, ids)
        self._compact(client, done.version)

    def remove(self, client: Database, ids: Sequence[str]) -> None:
        """Remove records; a row without a vector is none, and stays."""
        done = self._current(client).delete(self._where(Scope(within=ids)))
        self._compact(client, done.version)

    def get(self, client: Database, ids: Sequence[str], columns: Columns) -> Records:
        """Return the records of ids."""
        return self._read(self._current(client), Scope(within=ids), columns)

    def count(self, client: Database, scope: Scope) -> int:
        """Return the number of records in scope."""
        return int(self._current(client).count_rows(self._where(scope)))

    def page(
        self,
        client: Database,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: str | None,
        columns: Columns,
    ) -> Page:
        """Return records in the order of their ids."""
        # One version for both reads. Only ids are sorted: sorting vectors would read them all.
        table = self._current(client)
        bounds = [f"{self._key} {word} {text(bound)}" for word, bound in id_bounds(ids, after)]
        names = self._sorted(table, scope, bounds, limit)
        last = names[-1].as_py() if len(names) == limit else None
        if last is not None:
            bounds.append(f"{self._key} <= {text(last)}")
        found = self._read(table, scope, columns, bounds)
        return Page(found.take(sorted(range(len(found)), key=found.ids.__getitem__)), last)

    def cuts(self, client: Database, count: int) -> list[str]:
        """Return ids that cut the records into parts of about one size."""
        names = self._sorted(self._current(client), Scope())
        starts = sorted({part * len(names) // count for part in range(1, count)} - {0})
        return [names[start].as_py() for start in starts]

    def nearest(
        self,
        client: Database,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return the nearest records of each query, by an index where an effort is named."""
        table, layout = self._current(client), self._layout
        answers = []
        for query in queries:
            search = table.search(query, vector_column_name=layout.vector)
            search = search.distance_type(_DISTANCES[self.info.metric]).limit(limit)
            search = search.where(self._where(scope), prefilter=True)
            found = self._with_effort(search, effort, limit).select(
                [layout.key, layout.vector, "_distance"]
            )
            rows = found.to_arrow(timeout=self._timeout)
            scores = rows["_distance"].to_numpy().astype(np.float64)
            ids = tuple(rows[layout.key].to_pylist())
            answers.append(Nearest(ids, scores, self._vectors(rows)))
        return answers

    def sample(self, client: Database, count: int) -> NDArray[np.float32]:
        """Return the vectors of some records."""
        table = self._current(client)
        rows = table.count_rows()
        chosen = np.random.default_rng().choice(rows, min(count, rows), replace=False)
        found = table.take_offsets(sorted(chosen.tolist())).select([self._layout.vector])
        return self._vectors(found.to_arrow())

    def prepare(self, client: Database, records: int) -> None:
        """Build the index where there is none, or where most records came after it."""
        settings, layout = self._settings, self._layout
        table = self._current(client)
        names = [each.name for each in table.list_indices() if each.columns == [layout.vector]]
        name = names[0] if names else f"{layout.vector}_idx"
        built = table.index_stats(name)
        other = built is not None and built.index_type.lower() != settings.index_type
        lacking = built is None or built.num_unindexed_rows * _GROWN > built.num_indexed_rows
        if records >= settings.min_index_rows and (lacking or (other and layout.owned)):
            config = index_config(settings, self.info.metric)
            table.create_index(layout.vector, config=config, name=name, replace=True)

    def strays(self, client: Database) -> int:
        """Count the records whose norm is not that of their vector, which another program wrote."""
        measured = norm_of(self._layout.vector, self.info.dimension)
        apart = f"abs({measured} - {self._layout.norm}) > {_APART} * {measured}"
        apart = f"({apart} OR {measured} > {_LONGEST_VECTOR})"
        return int(self._current(client).count_rows(self._where(Scope(), [apart])))

    def twins(self, client: Database) -> list[str]:
        """Return the ids that several rows share, which another program wrote."""
        ids = self._sorted(self._current(client), Scope()).combine_chunks()
        later: list[str] = ids[1:].filter(pc.equal(ids[1:], ids[:-1])).unique().to_pylist()
        return later

    def _current(self, client: Database) -> Any:
        """Open the newest version of the table."""
        table = client.table(self._layout.table)
        self._layout.check(table.schema)
        return table

    def _with_effort(self, search: Any, effort: int | None, limit: int) -> Any:
        if effort is None:
            return search.bypass_vector_index()
        more = self._settings.refine_factor or 1
        if self._hnsw:
            return search.ef(max(effort, limit * more)).refine_factor(more)
        return search.nprobes(effort).refine_factor(more)

    def _read(
        self, table: Any, scope: Scope, columns: Columns, bounds: Sequence[str] = ()
    ) -> Records:
        layout = self._layout
        wanted = [layout.key, *(layout.fields[name] for name in columns.fields)]
        wanted += [layout.vector] if columns.vectors else []
        found = table.search().where(self._where(scope, bounds)).select(wanted)
        rows = found.to_arrow(timeout=self._timeout)
        fields = {}
        for name in columns.fields:
            column = rows[layout.fields[name]]
            timed = base_of(self.info.fields[name]) == "timestamp"
            fields[name] = (column.cast(pa.int64()) if timed else column).to_pylist()
        vectors = np.empty((len(rows), 0), np.float32)
        return Records(
            tuple(rows[layout.key].to_pylist()),
            self._vectors(rows) if columns.vectors else vectors,
            fields,
        )

    def _sorted(
        self, table: Any, scope: Scope, bounds: Sequence[str] = (), limit: int | None = None
    ) -> Any:
        """Return ids in the order of code points, which is that of their bytes."""
        order = ColumnOrdering(column_name=self._layout.key, ascending=True, nulls_first=False)
        found = table.search().where(self._where(scope, bounds)).select([self._layout.key])
        found = found.order_by([order])
        rows = (found if limit is None else found.limit(limit)).to_arrow(timeout=self._timeout)
        return rows[self._layout.key]

    def _vectors(self, rows: pa.Table) -> NDArray[np.float32]:
        flat = rows[self._layout.vector].combine_chunks().flatten()
        vectors = np.array(flat.to_numpy(zero_copy_only=False), np.float32)
        return vectors.reshape(-1, self.info.dimension)

    def _where(self, scope: Scope, bounds: Sequence[str] = ()) -> str:
        """Return the condition of the records in scope."""
        conditions = [f"{quoted(column)} IS NOT NULL" for column in self._layout.optional]
        conditions += bounds
        if scope.within is not None:
            among = texts(scope.within)
            conditions.append(f"{self._key} IN ({among})" if among else "false")
        if scope.where is not None:
            conditions.append(self._filters.written(scope.where))
        return " AND ".join(conditions) or "true"

    def _without_twins(self, client: Database, ids: Sequence[str]) -> None:
        """Keep the last row of each id: in a table without a key, two writers may insert one."""
        table = self._current(client)
        search = table.search().where(self._where(Scope(within=ids)))
        found = search.select([self._layout.key]).with_row_id(True).to_arrow()
        columns = found["_rowid"].to_pylist(), found[self._layout.key].to_pylist()
        rows = sorted(zip(*columns, strict=True))
        last = {name: row for row, name in rows}
        if twins := [str(row) for row, name in rows if last[name] != row]:
            table.delete(f"_rowid IN ({', '.join(twins)})")

    def _compact(self, client: Database, version: int) -> None:
        """Put small files together now and then, whichever process writes."""
        if version % _COMPACTED_AFTER == 0:
            # What was written is acknowledged: another writer in the way changes nothing of it.
            with suppress(Exception):
                client.table(self._layout.table).optimize()


def index_config(settings: LancedbSettings, metric: Metric) -> Any:
    """Return LanceDB's description of the index that the settings ask for."""
    kind = getattr(indexes, _INDEXES[settings.index_type])
    try:
        return kind(distance_type=_DISTANCES[metric], **settings.index_params)
    except TypeError as error:
        raise ConfigurationError(f"backend 'lancedb': setting index_params: {error}") from None
