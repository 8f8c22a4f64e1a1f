"""The creation of an index's collection: by one caller, and whole or not at all."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from vecbridge import (
    AuthenticationError,
    BackendError,
    Consistency,
    FieldType,
    IndexExistsError,
    InvalidArgumentError,
    Metric,
    VecbridgeError,
)
from vecbridge.fields import MAX_STRINGS
from vecbridge_milvus._columns import (
    COLUMN_TYPES,
    TEXT_BYTES,
    FieldColumn,
    made_columns,
    recorded,
)
from vecbridge_milvus._connection import Connection, release_of
from vecbridge_milvus._errors import boundary
from vecbridge_milvus._expr import KEYWORDS
from vecbridge_milvus._index_parameters import build_parameters, known_since
from vecbridge_milvus._index_types import LITE_TYPES, IndexSettings, IndexType, needs
from vecbridge_milvus._proof import replaces_indexes
from vecbridge_milvus._schema import (
    KEY,
    KEY_BYTES,
    MARK,
    METRICS,
    MILVUS_LEVELS,
    NORM,
    NORM_OF_PADDED,
    TRIED,
    VECTOR,
    VERSION,
    marker,
)

if TYPE_CHECKING:
    from pymilvus import CollectionSchema, MilvusClient

_RESERVED = frozenset({KEY, VECTOR, NORM, NORM_OF_PADDED})
_MMAP_SINCE = _PARTITION_KEY_SINCE = (2, 4)
_NO_SUCH_TYPE = ("invalid index type", "index type not supported")
_EVERYWHERE = "FLAT, HNSW, IVF_FLAT and IVF_SQ8"


class Creation:
    """Makes one collection."""

    def __init__(self, connection: Connection, settings: IndexSettings, name: str) -> None:
        self._connection = connection
        self._settings = settings
        self._name = name
        self._timeout = connection.timeout
        # Tells this creation from another one of the same name at the same time.
        self._nonce = uuid.uuid4().hex

    def run(
        self,
        dimension: int,
        metric: Metric,
        fields: Mapping[str, FieldType],
        consistency: Consistency,
    ) -> None:
        """Make the collection with its vector index, and begin to load it.

        Raises:
            IndexExistsError: there is a collection of that name, or another caller just made one.
            InvalidArgumentError: the server cannot build what is asked for; nothing is left behind.
        """
        self._check(fields)
        with self._connection.writing():
            self._claim(dimension, fields, consistency)
            try:
                self._furnish(max(dimension, 2), metric)
            except BaseException:
                self._withdraw()
                raise

    def _check(self, fields: Mapping[str, FieldType]) -> None:
        """Refuse names that are taken, and what this server would ignore."""
        taken = sorted(name for name in fields if name in _RESERVED or name.lower() in KEYWORDS)
        if taken:
            raise InvalidArgumentError(
                f"Milvus fields cannot be named {', '.join(taken)}: the names are taken by the "
                f"index itself or by Milvus's filter language; choose others"
            )
        settings = self._settings
        problems = settings.index_problems(lite=self._connection.lite)
        if problems:
            raise InvalidArgumentError("; ".join(problems))
        if self._connection.lite and settings.index_type not in LITE_TYPES:
            raise InvalidArgumentError(
                f"Milvus Lite has no index {settings.index_type}: it takes the name and searches "
                f"by another one. Use one of {', '.join(sorted(LITE_TYPES))}, or a Milvus server"
            )
        version = release_of(self._connection.version)
        key = settings.partition_key
        if key is not None and version is not None and version < _PARTITION_KEY_SINCE:
            raise InvalidArgumentError(
                f"partition_key needs Milvus 2.4 or newer: this server "
                f"({self._connection.version}) replaces records in the wrong partition, where a "
                f"filter on the key does not find them (milvus-io/milvus#30772). Upgrade it, or "
                f"go without"
            )
        if key is not None and fields.get(key) not in ("string", "integer"):
            raise InvalidArgumentError(
                f"partition_key={key!r} must name a field of strings or integers of the index; "
                f"index {self._name!r} is to have {dict(fields) or 'no fields'}"
            )
        # No probe can tell: 2.3 keeps any property, whatever it is, and repeats it when asked.
        if settings.mmap and version is not None and version < _MMAP_SINCE:
            raise InvalidArgumentError(
                f"mmap needs Milvus 2.4 or newer: this server ({self._connection.version}) would "
                f"ignore it for one collection; set queryNode.mmapDirPath on the server"
            )

    def _claim(
        self, dimension: int, fields: Mapping[str, FieldType], consistency: Consistency
    ) -> None:
        client = self._client()
        options: dict[str, Any] = {}
        if self._settings.shards is not None:
            options["num_shards"] = self._settings.shards
        if self._settings.mmap is not None:
            options["properties"] = {"mmap.enabled": self._settings.mmap}
        columns = made_columns(fields, nulls=self._connection.lite)
        kept = [name for column in columns.values() for name in column.names]
        asked = f"a collection of {3 + len(kept)} columns"
        if len(kept) > len(columns):
            asked += ", two per optional field"
        if options:
            asked += f", with {options}"
        said = {MARK: VERSION, "made": self._nonce, "flat": TRIED, **recorded(columns.values())}
        description = json.dumps(said)
        if self._connection.lite:
            options["properties"] = {**options.get("properties", {}), MARK: description}
        if self._exists():
            raise self._taken()
        try:
            # A server refuses a second creation whose description differs.
            with _refusal(asked):
                client.create_collection(
                    self._name,
                    schema=self._schema(client, dimension, columns, description),
                    consistency_level=MILVUS_LEVELS[consistency],
                    timeout=self._timeout,
                    **options,
                )
        except (BackendError, InvalidArgumentError) as error:
            if (self._connection.lite and self._exists()) or self._is_anothers():
                raise self._taken() from error
            raise
        if self._is_anothers():
            raise self._taken()

    def _schema(
        self,
        client: MilvusClient,
        dimension: int,
        columns: Mapping[str, FieldColumn],
        description: str,
    ) -> CollectionSchema:
        from pymilvus import DataType

        schema = client.create_schema(
            auto_id=False, enable_dynamic_field=False, description=description
        )
        schema.add_field(KEY, DataType.VARCHAR, is_primary=True, max_length=KEY_BYTES)
        schema.add_field(VECTOR, DataType.FLOAT_VECTOR, dim=max(dimension, 2))
        padded = dimension == 1
        schema.add_field(NORM_OF_PADDED if padded else NORM, DataType.DOUBLE)
        for name, column in columns.items():
            extra: dict[str, Any] = {}
            if column.base in ("string", "strings"):
                extra["max_length"] = TEXT_BYTES
            if column.base == "strings":
                extra |= {"element_type": DataType.VARCHAR, "max_capacity": MAX_STRINGS}
            if column.nullable:
                extra["nullable"] = True
            if name == self._settings.partition_key:
                extra["is_partition_key"] = True
            schema.add_field(name, DataType[COLUMN_TYPES[column.base]], **extra)
            if column.flag is not None:
                schema.add_field(column.flag, DataType.BOOL)
        return schema

    def _furnish(self, dimension: int, metric: Metric) -> None:
        client, settings = self._client(), self._settings
        kind = self._kind(metric)
        built = build_parameters(kind, dimension, settings.index_params)
        indexes = client.prepare_index_params()
        indexes.add_index(
            VECTOR,
            index_name=VECTOR,
            index_type=kind,
            metric_type=METRICS[metric],
            params=built,
        )
        asked = f"index_type {kind}" + (f" with {built}" if built else "")
        with _refusal(asked, "; ".join(filter(None, [known_since(kind), needs(kind)]))):
            # There is nothing to be built yet, for which pymilvus would wait half a second.
            client.create_index(self._name, indexes, timeout=self._timeout, sync=False)
        loading = settings.loading
        asked = f"an index loaded with {loading}" if loading else "to load the index"
        with _refusal(asked):
            # Writes need not wait for what only reads do; what may be refused is waited for.
            client.load_collection(self._name, timeout=self._timeout, _async=not loading, **loading)

    def _kind(self, metric: Metric) -> str:
        """Return the index to ask for: what the settings name, where the server builds that."""
        settings, connection = self._settings, self._connection
        exhaustive = IndexType(settings.index_type, {}).exhaustive
        if (
            not exhaustive
            or connection.lite
            or not replaces_indexes(connection, self._name, VECTOR, METRICS[metric])
        ):
            return settings.index_type
        if "index_type" in settings.model_fields_set:
            raise InvalidArgumentError(
                f"this server builds an index of its own in the place of {settings.index_type}, "
                f"as Zilliz Cloud does, and it is approximate: ask for index_type='AUTOINDEX', "
                f"with a recall, or use a server that builds what it is asked for"
            )
        return "AUTOINDEX"

    def _withdraw(self) -> None:
        """Leave nothing half-made behind; a server that is gone keeps what it has."""
        with suppress(VecbridgeError), boundary("create_index"):
            if not self._is_anothers():
                self._client().drop_collection(self._name, timeout=self._timeout)

    def _is_anothers(self) -> bool:
        """Return whether another caller has made a collection of that name."""
        if not self._exists():
            return False
        with boundary("create_index"):
            described: dict[str, Any] = self._client().describe_collection(
                self._name, timeout=self._timeout
            )
        return marker(described).get("made") != self._nonce

    def _exists(self) -> bool:
        with boundary("create_index"):
            return bool(self._client().has_collection(self._name, timeout=self._timeout))

    def _taken(self) -> IndexExistsError:
        return IndexExistsError(
            f"Milvus has a collection {self._name!r} already: open it, drop it, or choose another "
            f"name"
        )

    def _client(self) -> MilvusClient:
        return self._connection.client("create_index")


@contextmanager
def _refusal(asked: str, needed: str = "") -> Iterator[None]:
    """Turn what the server says against a request into an error of usage."""
    try:
        with boundary("create_index"):
            yield
    except (AuthenticationError, IndexExistsError):
        raise
    except BackendError as error:
        if error.retryable:
            raise
        advice = ""
        if any(words in str(error).lower() for words in _NO_SUCH_TYPE):
            advice = f". {needed or 'It may be older than that type'}; every one has {_EVERYWHERE}"
        raise InvalidArgumentError(
            f"Milvus refused {asked}: {error} Nothing was made{advice}"
        ) from error
