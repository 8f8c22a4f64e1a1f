"""What a person wants to know of a Milvus that does not do what it should."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vecbridge import AuthenticationError, BackendError
from vecbridge.diagnosis import Finding
from vecbridge.settings import redacted
from vecbridge_milvus._connection import Connection
from vecbridge_milvus._errors import boundary
from vecbridge_milvus._index_types import needs

if TYPE_CHECKING:
    from pymilvus import MilvusClient

_LISTED = 20
_OLDEST_TESTED = (2, 3)


def findings(connection: Connection) -> Iterator[Finding]:
    """Looks at the connection, the account, the database and each collection; changes nothing.

    Nothing is loaded: a collection that is not in the server's memory stays out of it.

    Args:
        connection: the store's.

    Raises:
        BackendError: the server cannot be reached, or fails.
    """
    started = time.perf_counter()
    client = connection.client("diagnose")
    took = 1000 * (time.perf_counter() - started)
    yield Finding("connection", "ok", f"{connection.place} answers ({took:.0f} ms to connect)")
    yield _version(connection)
    if not connection.lite:
        yield _account(client, connection)
    yield _database(client, connection)
    yield from _collections(client, connection)


def _version(connection: Connection) -> Finding:
    found = f"Milvus {connection.version}"
    digits = connection.version.lstrip("v").split("-")[0].split(".")
    if connection.lite or not all(part.isdigit() for part in digits[:2]):
        return Finding("version", "ok", found)
    if tuple(int(part) for part in digits[:2]) < _OLDEST_TESTED:
        return Finding("version", "warning", found, "vecbridge is tested from 2.3 on: upgrade")
    return Finding("version", "ok", found)


def _account(client: MilvusClient, connection: Connection) -> Finding:
    """Who we are, and whether the server asks at all."""
    named = connection.account
    account = redacted(named)
    try:
        with boundary("diagnose"):
            roles: dict[str, Any] = (
                client.describe_user(user_name=named, timeout=connection.timeout) if named else {}
            )
    except AuthenticationError:
        # Only administrators may read roles.
        return Finding("account", "ok", f"{account} (its roles are for administrators to read)")
    except BackendError as error:
        return Finding("account", "warning", f"{account or 'none'}: {error}")
    if named:
        listed = ", ".join(map(str, roles.get("roles") or ())) or "none"
        return Finding("account", "ok", f"{account}, roles: {listed}")
    return Finding(
        "account",
        "warning",
        "none was asked for: whoever reaches this server can read and delete everything",
        "fine on a machine of your own; elsewhere turn on authorization and TLS",
    )


def _database(client: MilvusClient, connection: Connection) -> Finding:
    current = connection.database
    try:
        with boundary("diagnose"):
            names = [str(name) for name in client.list_databases(timeout=connection.timeout)]
    except BackendError:
        return Finding(
            "database", "ok", f"{redacted(current)} (others are not listed to this account)"
        )
    others = ", ".join(name for name in names if name != current)
    beside = f"there is also: {others}" if others else "there is no other"
    return Finding("database", "ok", f"{redacted(current)} ({beside})")


def _collections(client: MilvusClient, connection: Connection) -> Iterator[Finding]:
    with boundary("diagnose"):
        names = sorted(client.list_collections(timeout=connection.timeout))
    yield Finding("collections", "ok", f"{len(names)}: {', '.join(names[:_LISTED]) or 'none'}")
    yield from (_collection(client, name, connection.timeout) for name in names[:_LISTED])


def _collection(client: MilvusClient, name: str, timeout: float) -> Finding:
    try:
        with boundary("diagnose"):
            return _examined(client, name, timeout)
    except BackendError as error:
        return Finding(f"collection {name}", "warning", str(error))


def _examined(client: MilvusClient, name: str, timeout: float) -> Finding:
    check = f"collection {name}"
    loaded = client.get_load_state(name, timeout=timeout)["state"].name == "Loaded"
    indexes = [
        client.describe_index(name, index, timeout=timeout)
        for index in client.list_indexes(name, timeout=timeout)
    ]
    told = ", ".join(_index(index) for index in indexes)
    if not indexes:
        return Finding(
            check, "failed", "its vectors have no index", "create one, or nothing can be searched"
        )
    if not loaded:
        rows = client.get_collection_stats(name, timeout=timeout).get("row_count", "?")
        return Finding(
            check,
            "warning",
            f"not loaded, up to {rows} rows, {told}",
            "opening it with vecbridge loads it",
        )
    (counted,) = client.query(name, filter="", output_fields=["count(*)"], timeout=timeout)
    found = f"{int(counted['count(*)']):,} rows, loaded, {told}"
    waiting = sum(int(index.get("pending_index_rows") or 0) for index in indexes)
    if waiting:
        return Finding(
            check,
            "warning",
            f"{found}; {waiting:,} rows are not indexed yet",
            "; or else ".join(
                ["searches are right but slower meanwhile; wait", *_wanting(indexes)]
            ),
        )
    return Finding(check, "ok", found)


def _wanting(indexes: list[dict[str, Any]]) -> list[str]:
    """What those want that are not built yet and may never be."""
    wanting = [needs(str(index.get("index_type"))) for index in indexes]
    return [f"the server cannot build it: {needed}" for needed in wanting if needed]


def _index(described: dict[str, Any]) -> str:
    state = str(described.get("state") or "").lower()
    word = f"{described.get('index_type', '?')} {described.get('metric_type', '')}".strip()
    return word if state in {"", "finished"} else f"{word} ({state})"
