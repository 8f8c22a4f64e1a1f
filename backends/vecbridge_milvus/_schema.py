"""The layout of an index as a collection, and the reading of one from a server."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from vecbridge import Consistency, IndexInfo, Metric, SchemaMismatchError
from vecbridge_milvus._columns import (
    UNLIMITED,
    FieldColumn,
    max_bytes,
    read_columns,
    shown,
    type_name,
)
from vecbridge_milvus._connection import release_of
from vecbridge_milvus._expr import KEYWORDS, Expressions
from vecbridge_milvus._index_types import IndexSettings, IndexType

if TYPE_CHECKING:
    from pymilvus import MilvusClient

KEY = "pk"
VECTOR = "vector"
NORM = "vecbridge_norm"
# Milvus begins at two dimensions. Lite keeps no description, so the name of the field tells.
NORM_OF_PADDED = "vecbridge_norm_padded"
VERSION = 2
"""Of the layout; 2 says which types the fields have."""

MARK = "vecbridge"
"""Of what a collection of ours says of itself: in its description, and in a property on Lite."""

TRIED = "tried"
"""Says in a collection's description that its server was seen to build what it is asked for."""

_MAKING_S = 10.0
_PAUSE_S = 0.1
METRICS: dict[Metric, str] = {"euclidean": "L2", "dotproduct": "IP", "cosine": "COSINE"}
MILVUS_LEVELS: dict[Consistency, str] = {
    "strong": "Strong",
    "session": "Session",
    "bounded": "Bounded",
    "eventual": "Eventually",
}
"""Milvus's word for each level, in the order of Milvus's numbers; a server offers these."""

KEY_BYTES = 512
MAX_LIMIT = 16384
"""Most hits of a search, and rows of a page, that a server gives."""

# Not all of pymilvus gives vectors as arrays: as numbers they take some ten times their bytes.
_PAGE_BYTES = 8 << 20
_INTEGER_BYTES = 20
_KEEPING, _KEEPING_CLIENT = (2, 6, 2), (2, 6, 17)
"""Versions of a server and of pymilvus from which an upsert may leave columns out."""

_MOVING = (2, 4)
"""Version from which an upsert takes a record out of the partition that it was in."""

_OTHER_VECTORS = frozenset(
    f"{kind}_VECTOR" for kind in ("FLOAT16", "BFLOAT16", "INT8", "BINARY", "SPARSE_FLOAT")
)
_DYNAMIC = "$meta"
"""Milvus's own name of the column that holds dynamic fields."""


@dataclass(frozen=True)
class Layout:
    """The layout of a collection, as the server describes it.

    Attributes:
        info: the index as the contract describes it.
        collection: what tells it from another one of its name.
        key: name of the primary key.
        vector: name of the vector field.
        norm: name of the field with the vectors' exact norms; ``None`` in a collection made by
            another program.
        stored_dimension: length of the vectors on the server.
        index: the vector index.
        columns: where each field is kept.
        lite: whether it is kept by Milvus Lite.
        tried: whether the server was seen to build what it is asked for when this was made.
        partitions: names of the partitions, where another program chose one for each row.
        names: of all columns.
        changed: when the server says that the collection was last changed; 0 where it does not.
    """

    info: IndexInfo
    collection: str
    key: str
    vector: str
    norm: str | None
    stored_dimension: int
    index: IndexType
    columns: Mapping[str, FieldColumn]
    lite: bool = False
    tried: bool = False
    partitions: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    changed: int = 0

    @property
    def integers(self) -> bool:
        """Return whether keys are integers, and ids their digits."""
        return self.info.integer_ids

    def order(self, name: str) -> str | int:
        """Return what the server orders an id by."""
        return int(name) if self.integers else name

    @cached_property
    def expressions(self) -> Expressions:
        """The expressions of its queries."""
        found = {name: column.presence for name, column in self.columns.items()}
        optional = {name: presence for name, presence in found.items() if presence is not None}
        return Expressions(
            self.key, optional, integers=self.integers, norm=self.norm, lite=self.lite
        )

    @property
    def scalars(self) -> list[str]:
        """Return the names of the columns that the fields are read from."""
        return [name for column in self.columns.values() for name in column.names]

    @property
    def page_rows(self) -> int:
        """Number of rows with vectors to ask for at a time."""
        return max(1, min(MAX_LIMIT, _PAGE_BYTES // (4 * self.stored_dimension)))

    @property
    def provable(self) -> bool:
        """Return whether what a search leaves out is known to be farther than what it gives.

        Without exact norms, nothing is known of the records that the engine drops: zero vectors
        under cosine, and what overflows. Only under euclidean are those the farthest.
        """
        return self.index.exhaustive and (self.norm is not None or self.info.metric == "euclidean")


def read(
    client: MilvusClient,
    name: str,
    settings: IndexSettings,
    *,
    version: str,
    lite: bool,
    timeout: float,
) -> Layout:
    """Read a collection's layout from the server.

    Args:
        client: the live client.
        name: of the collection, or an alias of it.
        settings: which fields of collections of others are meant.
        version: what the server calls itself.
        lite: whether it is Milvus Lite.
        timeout: seconds that one call may take.

    Raises:
        SchemaMismatchError: it is not laid out in a way that an index can be kept in.
    """
    described: dict[str, Any] = client.describe_collection(name, timeout=timeout)
    made = marker(described)
    layout = made.get(MARK)
    if isinstance(layout, int) and layout > VERSION:
        raise SchemaMismatchError(
            f"collection {name!r} was made by a newer vecbridge (layout {layout}, this one knows "
            f"{VERSION}): upgrade vecbridge to open it"
        )
    columns = {column["name"]: column for column in described["fields"]}
    norm = next((own for own in (NORM, NORM_OF_PADDED) if own in columns), None)
    # What the settings say of foreign collections is not meant for our own.
    key = _key(name, columns, None if norm else settings.key_field)
    vector = _vector(name, columns, None if norm else settings.vector_field)
    # Lite keeps no description, but our own norms tell whose collection it is.
    ours = bool(made) or norm is not None
    index, metric = _vector_index(client, name, vector, timeout, patient=ours)
    if lite and key.lower() in KEYWORDS:
        raise SchemaMismatchError(
            f"the primary key of collection {name!r} is named {key!r}, a word of Milvus's filter "
            f"language: Milvus Lite cannot be asked for a record of it. Copy the records to a new "
            f"collection, with pymilvus's query_iterator"
        )
    if columns[vector].get("nullable"):
        raise SchemaMismatchError(
            f"collection {name!r} has rows whose vector may be missing (field {vector!r} is "
            f"nullable), and a record of an index has one; copy the others to a collection of "
            f"their own"
        )
    stored = int(columns[vector]["params"]["dim"])
    others = {each: column for each, column in columns.items() if each not in {key, vector, norm}}
    fields = read_columns(name, others, made, lite=lite)
    known = {each for field in fields.values() for each in field.names}
    unsupported = _unsupported(
        described, {each: column for each, column in others.items() if each not in known}
    )
    integers = type_name(columns[key]) == "INT64"
    info = IndexInfo(
        name=name,
        dimension=1 if norm == NORM_OF_PADDED else stored,
        metric=metric,
        fields=MappingProxyType({each: column.kind for each, column in fields.items()}),
        consistency="strong" if lite else _level(int(described.get("consistency_level", 0))),
        unsupported=MappingProxyType(unsupported),
        required=frozenset(
            each for each in unsupported if each in columns and _is_required(columns[each])
        ),
        kept=bool(unsupported) and _keeps(version, lite=lite),
        unwritable=_unwritable(columns.values(), columns[key], columns[vector], version),
        limits=MappingProxyType(
            {each: field.limits for each, field in fields.items() if field.limits != UNLIMITED}
        ),
        max_id_bytes=_INTEGER_BYTES if integers else max_bytes(columns[key], KEY_BYTES),
        integer_ids=integers,
    )
    partitions: list[str] = []
    if int(described.get("num_partitions") or 1) > 1 and not _partition_key(columns.values()):
        partitions = client.list_partitions(name, timeout=timeout)
    tried = lite or made.get("flat") == TRIED
    return Layout(
        info,
        identity_of(described),
        key,
        vector,
        norm,
        stored,
        index,
        fields,
        lite,
        tried,
        partitions=tuple(map(str, partitions)),
        names=frozenset(columns),
        changed=int(described.get("update_timestamp") or 0),
    )


def identity_of(described: Mapping[str, Any]) -> str:
    """Return what tells a collection from a later one of its name; empty for others' in Lite."""
    # Servers number their collections. Lite does not, and keeps what our creations write down.
    return str(described.get("collection_id") or marker(described).get("made") or "")


def marker(described: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a collection of ours says of itself; empty for those of others.

    Lite keeps no description, but properties.
    """
    said = (described.get("properties") or {}).get(MARK) or described.get("description") or ""
    try:
        read = json.loads(said)
    except ValueError:
        return {}
    return read if isinstance(read, dict) and MARK in read else {}


def _key(name: str, columns: Mapping[str, Any], wanted: str | None) -> str:
    keys = [column for column in columns.values() if column.get("is_primary")]
    found = ", ".join(f"{key['name']} ({type_name(key)})" for key in keys) or "none"
    if wanted is not None and wanted not in {key["name"] for key in keys}:
        raise SchemaMismatchError(
            f"key_field={wanted!r} is not the primary key of collection {name!r}, which has "
            f"{found}; ids are the values of the primary key"
        )
    if len(keys) == 1 and type_name(keys[0]) in {"VARCHAR", "INT64"}:
        return str(keys[0]["name"])
    raise SchemaMismatchError(
        f"an index needs a primary key of strings or integers; collection {name!r} has {found}"
    )


def _partition_key(columns: Iterable[Mapping[str, Any]]) -> str:
    return next((str(each["name"]) for each in columns if each.get("is_partition_key")), "")


def _keeps(version: str, *, lite: bool) -> bool:
    """Return whether an upsert can name the columns that it changes, and leave the others."""
    from pymilvus import __version__ as client

    # Older ones take the word without a word, and replace rows whole.
    is_new = (release_of(client) or ()) >= _KEEPING_CLIENT
    return is_new and (lite or (release_of(version) or ()) >= _KEEPING)


def _unwritable(
    columns: Iterable[Mapping[str, Any]],
    key: Mapping[str, Any],
    vector: Mapping[str, Any],
    version: str,
) -> str:
    """Return why nothing can be written to a collection of others; empty where it can."""
    if key.get("auto_id"):
        return "Milvus chooses its keys by itself (auto_id)"
    if vector.get("is_function_output"):
        return "Milvus computes its vectors from another column"
    parted = _partition_key(columns)
    if parted and (release_of(version) or _MOVING) < _MOVING:
        return (
            f"it is partitioned by {parted!r}, and servers below 2.4 put records that are replaced "
            f"into the wrong partition (milvus#30772)"
        )
    return ""


def _vector(name: str, columns: Mapping[str, Any], wanted: str | None) -> str:
    kinds = {each: type_name(column) for each, column in columns.items()}
    vectors = [each for each, kind in kinds.items() if kind == "FLOAT_VECTOR"]
    others = [f"{each} ({kind})" for each, kind in kinds.items() if kind in _OTHER_VECTORS]
    listed = ", ".join([*vectors, *others]) or "none"
    if wanted is not None:
        if wanted in vectors:
            return wanted
        raise SchemaMismatchError(
            f"vector_field={wanted!r} is not a field of float32 vectors of collection {name!r}, "
            f"which has {listed}"
        )
    if len(vectors) == 1:
        return vectors[0]
    advice = "Where there are several, name one: vector_field=..."
    if others and not vectors:
        advice = "Vectors of other types are left to pymilvus; copy them as float32"
    raise SchemaMismatchError(
        f"an index needs one field of float32 vectors; collection {name!r} has {listed}. {advice}"
    )


def _vector_index(
    client: MilvusClient, name: str, vector: str, timeout: float, *, patient: bool
) -> tuple[IndexType, Metric]:
    """Return the vectors' index, after waiting for one that another caller is just making."""
    deadline = time.monotonic() + min(timeout, _MAKING_S)
    while True:
        for described in _described_indexes(client, name, vector, timeout, by_field=patient):
            for metric, word in METRICS.items():
                if str(described.get("metric_type", "")).upper() == word:
                    kind = str(described["index_type"]).upper()
                    build = {str(name): str(value) for name, value in described.items()}
                    return IndexType(kind, MappingProxyType(build)), metric
        if not patient or time.monotonic() > deadline:
            break
        time.sleep(_PAUSE_S)
    if patient:
        raise SchemaMismatchError(
            f"collection {name!r} has no vector index: its creation was cut off. It holds "
            f"nothing; drop it, and create the index again"
        )
    raise SchemaMismatchError(
        f"the vectors of collection {name!r} (field {vector!r}) have no index with the metric "
        f"{', '.join(METRICS.values())}: create one on the server, then open the collection"
    )


def _described_indexes(
    client: MilvusClient, name: str, vector: str, timeout: float, *, by_field: bool
) -> Iterator[dict[str, Any]]:
    """Yield what the server says of the vectors' indexes, first of one named like its field."""
    first = client.describe_index(name, vector, timeout=timeout) if by_field else None
    if first and first["field_name"] == vector:
        yield first
    for index in client.list_indexes(name, field_name=vector, timeout=timeout):
        if index != vector or not by_field:
            yield client.describe_index(name, index, timeout=timeout)


def _level(number: int) -> Consistency:
    # 4 is "customized": the server guarantees nothing by itself.
    levels = tuple(MILVUS_LEVELS)
    return levels[number] if number < len(levels) else "eventual"


def _unsupported(
    described: Mapping[str, Any], unknown: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Return what else the rows hold, which a read does not show and an upsert would erase.

    A column that the server computes from others, as BM25 vectors are from a text, is not lost.
    """
    found = {
        name: shown(column)
        for name, column in unknown.items()
        if not column.get("is_function_output") and not column.get("is_dynamic")
    }
    structs = described.get("struct_array_fields") or described.get("struct_fields") or ()
    found |= {str(each["name"]): "a list of structs" for each in structs}
    if described.get("enable_dynamic_field"):
        found[_DYNAMIC] = "dynamic fields"
    return found


def _is_required(column: Mapping[str, Any]) -> bool:
    """Return whether no row can be written without a value of a column."""
    free = ("nullable", "is_dynamic", "is_function_output", "auto_id")
    return not any(column.get(word) for word in free) and column.get("default_value") is None
