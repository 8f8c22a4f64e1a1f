"""A whole vecbridge backend: vectors, fields and filters on a PostgreSQL server."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar
from uuid import uuid4

import numpy as np
import psycopg
from pydantic import SecretStr

import vecbridge as vb
from vecbridge import remote
from vecbridge.filters import And, Comparison, Filter, IsMissing, Not, OneOf, Or

Client = psycopg.Connection[Any]
OPERATORS = {"cosine": "<=>", "dotproduct": "<#>", "euclidean": "<->"}
TYPES = {"string": 'text COLLATE "C"', "integer": "bigint", "float": "float8", "boolean": "boolean"}
KINDS: Any = frozenset([*TYPES, *(f"{kind}?" for kind in TYPES)])
WORDS: Any = frozenset(["==", "!=", "<", "<=", ">", ">=", "is_in", "is_missing", *"&|~"])


class PostgresSettings(remote.RemoteSettings):
    host: str = "localhost"
    port: int = 5432
    user: str = "postgres"
    password: SecretStr | None = None


def quoted(name: str) -> str:
    return "norm" if name == remote.NORM else f'"{remote.storage_name(name + "_", longest=63)}"'


def condition(where: Filter, values: list[Any]) -> str:
    match where:
        case And(left, right) | Or(left, right):
            word = "AND" if isinstance(where, And) else "OR"
            return f"({condition(left, values)} {word} {condition(right, values)})"
        case Not(operand):
            return f"NOT {condition(operand, values)}"
        case IsMissing(name):
            return f"({quoted(name)} IS NULL)"
        case Comparison(name, word, value):
            values.append(value)
            return f"({quoted(name)} {({'==': '=', '!=': '<>'}).get(word, word)} %s)"
        case OneOf(name, several):
            values.append(list(several))
            return f"({quoted(name)} = ANY(%s))"
    raise TypeError(f"{where} is not declared")


class PostgresTable:
    def __init__(self, info: vb.IndexInfo, key: str) -> None:
        # Each table has a key column of its own name, so that no statement reaches a later table.
        self.info, self.table, self.key = info, quoted(info.name), key
        self.form: Any = "negative" if info.metric == "dotproduct" else "distance"
        self.capabilities = vb.Capabilities(
            exact=True, recall=None, range_search=False, farthest=False, partitions=False,
            max_dimension=16_000, max_k=None, max_within=10_000, max_batch_bytes=1 << 24,
            field_types=KINDS, filters=WORDS, filters_except=frozenset(),
            consistency=frozenset({"strong"}), durable=True, shared=True,
        )  # fmt: skip

    def put(self, client: Client, ids: Any, vectors: Any, norms: Any, fields: vb.Fields) -> None:
        columns, texts = [self.key, "v", "norm", *map(quoted, fields)], map(str, vectors.tolist())
        # In one order, so that writers of the same ids wait for each other and in no circle.
        rows: Any = sorted(zip(ids, texts, norms.tolist(), *fields.values(), strict=True))
        values, changes = "%s, " * len(columns), [f"{each} = excluded.{each}" for each in columns]
        query = f"INSERT INTO {self.table} ({', '.join(columns)}) VALUES ({values[:-2]}) "
        query += f"ON CONFLICT ({self.key}) DO UPDATE SET {', '.join(changes)}"
        with client.transaction(), client.cursor() as cursor:
            cursor.executemany(query, rows)

    def remove(self, client: Client, ids: Sequence[str]) -> None:
        client.execute(f"DELETE FROM {self.table} WHERE {self.key} = ANY(%s)", [list(ids)])

    def get(self, client: Client, ids: Sequence[str], columns: remote.Columns) -> vb.Records:
        return self.read(client, columns, *self.where(vb.Scope(within=ids)))

    def count(self, client: Client, scope: vb.Scope) -> int:
        where, values = self.where(scope)
        query = f"SELECT count({self.key}) FROM {self.table} WHERE {where}"
        return int(client.execute(query, values).fetchall()[0][0])

    def page(self, client: Client, scope: Any, _: Any, limit: int, after: Any, columns: Any) -> Any:
        where, values = self.where(scope)
        rest = f"{where} AND {self.key} > %s ORDER BY {self.key} LIMIT {limit}"
        found = self.read(client, columns, rest, [*values, after or ""])
        return remote.Page(found, found.ids[-1] if len(found) == limit else None)

    def nearest(self, client: Client, queries: Any, limit: int, scope: Any, effort: Any) -> Any:
        where, values = self.where(scope)
        # No index orders by a sum: every record is looked at, whatever indexes there are.
        wanted = f"{self.key}, (v {OPERATORS[self.info.metric]} %s::vector) + 0, v::float4[]"
        query, answers = f"SELECT {wanted} FROM {self.table} WHERE {where} ORDER BY 2", []
        for each in queries.tolist():
            rows = client.execute(f"{query} LIMIT {limit}", [str(each), *values]).fetchall()
            ids, scores, vectors = zip(*rows, strict=True) if rows else ((), (), ())
            answers.append(remote.Nearest(ids, np.array(scores, float), self.matrix(vectors)))
        return answers

    def where(self, scope: vb.Scope) -> tuple[str, list[Any]]:
        values: list[Any] = [] if scope.within is None else [list(scope.within)]
        among = "true" if scope.within is None else f"{self.key} = ANY(%s)"
        fits = "true" if scope.where is None else condition(scope.where, values)
        return f"{among} AND {fits}", values

    def read(self, client: Client, columns: Any, where: str, values: list[Any]) -> vb.Records:
        vector = "v::float4[]" if columns.vectors else "NULL"
        wanted = [self.key, vector, *map(quoted, columns.fields)]
        rows = client.execute(f"SELECT {', '.join(wanted)} FROM {self.table} WHERE {where}", values)
        ids, vectors, *fields = [*zip(*rows, strict=True)] or [()] * len(wanted)
        matrix = self.matrix(vectors) if columns.vectors else np.empty((len(ids), 0), np.float32)
        return vb.Records(ids, matrix, dict(zip(columns.fields, map(list, fields), strict=True)))

    def matrix(self, vectors: Sequence[Any]) -> Any:
        return np.array(vectors, np.float32).reshape(-1, self.info.dimension)


CAUSES = [
    remote.Cause(match="57014", kind=vb.OperationTimeoutError, retryable=True),
    remote.Cause(match="57P|08", kind=vb.ConnectionFailedError, retryable=True),
    remote.Cause(match="40", retryable=True),  # two writers were in each other's way
    remote.Cause(match="28|42501", kind=vb.AuthenticationError),
    remote.Cause(match="42P01|42703", kind=vb.IndexNotFoundError),  # no such table, no such key
    remote.Cause(match="."),
    remote.Cause(match=psycopg.OperationalError, kind=vb.ConnectionFailedError, retryable=True),
]
ERRORS = remote.ErrorTable("postgres", "PostgreSQL", CAUSES, packages=["psycopg"], code="sqlstate")


class PostgresBackend(remote.RemoteBackend[Client]):
    settings: PostgresSettings
    name: ClassVar[str] = "postgres"
    settings_type: ClassVar[type[PostgresSettings]] = PostgresSettings
    field_types: ClassVar[frozenset[vb.FieldType]] = KINDS
    max_dimension = 16_000

    def __init__(self, settings: PostgresSettings) -> None:
        self.password = settings.password or SecretStr("")
        place = f"{settings.host}:{settings.port}"
        super().__init__(settings, ERRORS, place=place, clients=8)

    def connect(self) -> Client:
        return psycopg.connect(
            host=self.settings.host, port=self.settings.port, user=self.settings.user,
            password=self.password.get_secret_value() or None, autocommit=True,
            connect_timeout=max(2, int(self.settings.timeout)),
            options=f"-c statement_timeout={int(1000 * self.settings.timeout)}",
        )  # fmt: skip

    def is_usable(self, client: Client) -> bool:
        return client.info.transaction_status == psycopg.pq.TransactionStatus.IDLE

    def make(self, client: Client, info: vb.IndexInfo) -> PostgresTable | None:
        table = PostgresTable(info, key := f"id_{uuid4().hex}")
        columns = f'{key} text COLLATE "C" PRIMARY KEY, v vector({info.dimension}), norm float8'
        for name, kind in info.fields.items():
            columns += f", {quoted(name)} {TYPES[kind.rstrip('?')]}"
        document = psycopg.sql.quote(remote.to_document(info), client)
        try:
            client.execute(  # the three in one transaction
                f"CREATE EXTENSION IF NOT EXISTS vector; CREATE TABLE {table.table} ({columns}); "
                f"COMMENT ON TABLE {table.table} IS {document}"
            )
        except psycopg.errors.DuplicateTable:
            return None
        return table

    def find(self, client: Client, name: str) -> PostgresTable | None:
        query = "SELECT obj_description(attrelid, 'pg_class'), attname FROM pg_attribute "
        query += "WHERE attrelid = to_regclass(%s) AND attnum = 1"
        text, key = client.execute(query, [quoted(name)]).fetchone() or ("", "")
        return PostgresTable(remote.from_document(text, backend=self.name), key) if text else None

    def names(self, client: Client) -> list[str]:
        query = "SELECT obj_description(oid, 'pg_class') FROM pg_class WHERE relkind = 'r'"
        texts = [text for (text,) in client.execute(query) if text and '{"vecbridge"' in text]
        return [remote.from_document(text, backend=self.name).name for text in texts]

    def remove(self, client: Client, name: str) -> bool:
        if self.find(client, name) is None:
            return False
        client.execute(f"DROP TABLE {quoted(name)}")
        return True
