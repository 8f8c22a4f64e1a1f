"""How an index is kept in a table, and whether a table is still the one that it is kept in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from vecbridge import IndexInfo, IndexNotFoundError, SchemaMismatchError

DOCUMENT = b"vecbridge"
TABLE_ID = b"vecbridge-table-id"


@dataclass(frozen=True)
class Layout:
    """How an index is kept in a table.

    Attributes:
        info: the schema of the index.
        table: name of the table.
        fields: column of each field.
        key: column of the ids.
        vector: column of the vectors.
        norm: their norms, as expression.
        optional: those of the two that rows may lack, and are then no records.
        owned: the table is vecbridge's own: its key is one that LanceDB keeps unique.
        identity: what tells the table from a later one of its name; see :func:`identity_of`.
    """

    info: IndexInfo
    table: str
    fields: Mapping[str, str]
    key: str = "id"
    vector: str = "vector"
    norm: str = "norm"
    optional: Sequence[str] = ()
    owned: bool = True
    identity: Sequence[bytes | None] = (None, None)

    @property
    def columns(self) -> frozenset[str]:
        """The columns that the index is kept in."""
        norm = {self.norm} if self.owned else set[str]()
        return frozenset({self.key, self.vector, *self.fields.values()} | norm)

    def check(self, schema: pa.Schema) -> None:
        """Check that a table is still the one that the index was opened on.

        Raises:
            IndexNotFoundError: it is another one, of the same name.
            SchemaMismatchError: a column is gone.
        """
        if missing := self.columns.difference(schema.names):
            raise SchemaMismatchError(
                f"the table of index {self.info.name!r} has no column {min(missing)!r}: another "
                f"program dropped or renamed it. Give it back its name, or restore a version of "
                f"the table that has it"
            )
        dimension = getattr(schema.field(self.vector).type, "list_size", None)
        if identity_of(schema) != self.identity or dimension != self.info.dimension:
            raise IndexNotFoundError(
                f"index {self.info.name!r} was dropped after it was opened, and made again; open "
                f"it again"
            )


def identity_of(schema: pa.Schema) -> tuple[bytes | None, bytes | None]:
    """Return the schema that a table of vecbridge's keeps of its index, and the table's own id."""
    metadata = schema.metadata or {}
    return metadata.get(DOCUMENT), metadata.get(TABLE_ID)


def norm_of(vector: str, dimension: int) -> str:
    """Return the expression of the norm of a column of vectors, in double precision."""
    zeros = ", ".join(["0.0"] * dimension)
    return f"array_distance({quoted(vector)}, make_array({zeros}))"


def quoted(column: str) -> str:
    """Return the name of a column as SQL has it."""
    return f"`{column}`"
