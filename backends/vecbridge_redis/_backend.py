"""The backend: indexes of searches over hashes."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterator
from typing import Any, ClassVar

from vecbridge import FieldType, IndexInfo
from vecbridge.diagnosis import Finding
from vecbridge.fields import FIELD_TYPES
from vecbridge.remote import RemoteBackend, RemoteIndex, from_document, to_document
from vecbridge_redis._adoption import NAME, Adopted, adopted
from vecbridge_redis._collection import MAX_DIMENSION, METRICS, Hashes
from vecbridge_redis._connection import (
    ERRORS,
    UNKNOWN,
    Client,
    algorithms_of,
    answered,
    asked,
    connected,
    described,
    prefixes_of,
    server_of,
    text_of,
    words,
)
from vecbridge_redis._records import schema_of
from vecbridge_redis._searched import KEYS, Layout, document_of
from vecbridge_redis._settings import RedisSettings

_ROWS = 1_000
_KEEP = "to keep what is acknowledged: CONFIG SET appendonly yes, CONFIG SET appendfsync always"
_PROMISES = {
    "everysec": "the server may lose a second or two of acknowledged writes",
    "no": "the operating system says when acknowledged writes are on disk",
    "never": "the server keeps no log, and loses writes when it ends",
    None: "the user may not see how the server keeps what it acknowledges",
}


class RedisBackend(RemoteBackend[Client]):
    """Indexes over the hashes of a Redis. Connects on first use.

    Args:
        settings: where the server is, and who asks.
    """

    settings: RedisSettings
    name: ClassVar[str] = "redis"
    settings_type: ClassVar[type[RedisSettings]] = RedisSettings
    field_types: ClassVar[frozenset[FieldType]] = frozenset(FIELD_TYPES)
    max_dimension = MAX_DIMENSION

    def __init__(self, settings: RedisSettings) -> None:
        hidden = [settings.password] if settings.password else []
        super().__init__(
            settings, ERRORS, place=settings.place, clients=settings.pool_size, secrets=hidden
        )

    def connect(self) -> Client:
        """Return a client of one connection that has reached the server."""
        return connected(self.settings)

    def make(self, client: Client, info: IndexInfo) -> Hashes | None:
        """Make an index of searches, with its schema among the prefixes of its keys.

        No key begins with the schema. So one command makes an index and says what it is: none is
        half made, and none is named by what another one left.
        """
        settings, search = self.settings, self._search_name(info.name)
        options: list[Any] = ["TYPE", "FLOAT32", "DIM", info.dimension]
        options += ["DISTANCE_METRIC", METRICS[info.metric]]
        if settings.algorithm == "hnsw":
            options += ["M", settings.hnsw_m, "EF_CONSTRUCTION", settings.hnsw_ef_construction]
        server = server_of(client)
        # Of this index alone: what a dropped one has left is none of its records.
        prefix = f"{KEYS}{{{info.name}.{secrets.token_hex(4)}}}:"
        schema = schema_of(info, [settings.algorithm.upper(), len(options), *options])
        command = ["FT.CREATE", search, "ON", "HASH", "PREFIX", 2, prefix, KEYS + to_document(info)]
        (made,) = asked(client, [[*command, "SKIPINITIALSCAN", "SCHEMA", *schema]])
        if isinstance(made, Exception):
            if "already exists" in str(made):
                return None
            raise made
        recall = settings.recall if settings.algorithm == "hnsw" else None
        return Hashes(Layout(info, search, prefix, recall, server))

    def find(self, client: Client, name: str) -> Hashes | None:
        """Return the hashes of an index."""
        search = self._search_name(name)
        found = described(client, search)
        algorithms = algorithms_of(found or {})
        # Under an alias, the server describes the index that it stands for.
        if found is None or not algorithms or text_of(found["index_name"]) != search:
            return None
        server, prefix = server_of(client), prefixes_of(found)[0]
        document = document_of(found)
        if document is None:
            return adopted(found, name, search, server)
        recall = self.settings.recall if algorithms == ["HNSW"] else None
        info = from_document(document, backend=self.name)
        return Hashes(Layout(info, search, prefix, recall, server))

    def names(self, client: Client) -> list[str]:
        """Return the names of the indexes that have vectors."""
        searches = [text_of(each) for each in answered(client, "FT._LIST")]
        given = {search: name for name, search in self.settings.index_names.items()}
        names = []
        found = asked(client, [("FT.INFO", search) for search in searches])
        for search, each in zip(searches, found, strict=True):
            described = {} if isinstance(each, Exception) else words(each)
            document, name = document_of(described), given.get(search, search)
            if document is not None:
                names.append(from_document(document, backend=self.name).name)
            elif algorithms_of(described) and NAME.fullmatch(name):
                names.append(name)
        return names

    def remove(self, client: Client, name: str) -> bool:
        """Drop an index, with its records."""
        if self.find(client, name) is None:
            return False
        (done,) = asked(client, [("FT.DROPINDEX", self._search_name(name), "DD")])
        if isinstance(done, Exception):
            if re.search(UNKNOWN, str(done), re.IGNORECASE):
                return False
            raise done
        return True

    def index_over(self, collection: Any) -> RemoteIndex[Client]:
        """Return the index over some hashes."""
        settings = self.settings
        return RemoteIndex(
            self.link,
            collection,
            put_rows=_ROWS,
            recall=settings.recall,
            effort=1 if isinstance(collection, Adopted) else settings.hnsw_ef_runtime,
        )

    def versions(self) -> dict[str, str]:
        """Return what the live server and its search module call themselves."""
        return self.link.run("versions", self._versions)

    def findings(self) -> Iterator[Finding]:
        """Look at the server and at who asks."""
        yield from self.link.run("diagnose", self._findings)

    def _findings(self, client: Client) -> list[Finding]:
        server = server_of(client)
        who = f"user {self.settings.username or 'default'!r}"
        findings = [
            Finding("server", "ok", f"Redis {server.version} at {self.link.place}, {who}"),
            Finding("connection", "ok", "encrypted")
            if self.settings.tls
            else Finding("connection", "warning", "not encrypted", "give tls=True"),
            Finding("durability", "warning", _PROMISES[server.fsync], _KEEP)
            if server.fsync in _PROMISES
            else Finding("durability", "ok", "what is acknowledged is on disk"),
        ]
        if server.eviction != "noeviction":
            found = f"where memory is short, the server removes records: {server.eviction}"
            advice = "CONFIG SET maxmemory-policy noeviction"
            findings.append(Finding("memory", "warning", found, advice))
        if server.replica:
            found, advice = "this is a replica, which lags and takes no writes", "name the primary"
            findings.append(Finding("role", "warning", found, advice))
        return findings

    def _versions(self, client: Client) -> dict[str, str]:
        modules = asked(client, [("MODULE", "LIST")])[0]
        listed = [] if isinstance(modules, Exception) else [*map(words, modules)]
        found = {text_of(each["name"]): int(each["ver"]) for each in listed}
        number = found.get("search", 0)
        search = f"{number // 10_000}.{number // 100 % 100}.{number % 100}" if number else "unknown"
        return {"redis-server": server_of(client).version, "search": search}

    def _search_name(self, name: str) -> str:
        return self.settings.index_names.get(name, name)
