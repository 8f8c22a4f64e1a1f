"""What the doctor finds of a live connection: who asks, what there is, and what is proven of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from vecbridge import AuthenticationError, BackendError, SchemaMismatchError
from vecbridge.diagnosis import Finding
from vecbridge.settings import redacted
from vecbridge_milvus._connection import release_of
from vecbridge_milvus._errors import boundary
from vecbridge_milvus._index_types import needs
from vecbridge_milvus._settings import MilvusSettings

if TYPE_CHECKING:
    from pymilvus import MilvusClient

NOT_EXACT = "not exact"
PROVEN = {"v2.3.5": "2026-11-30", "milvus_lite-3.2.2": "2026-11-30"}
"""What servers call themselves on which the whole suite was run, and when it was."""

_LISTED = 20
_OLDEST_TESTED = (2, 3)


def findings(
    settings: MilvusSettings,
    client: MilvusClient,
    *,
    version: str,
    lite: bool,
    took_s: float,
    exactness: Callable[[str], str],
) -> Iterator[Finding]:
    """Look at the connection, the account, the database and each collection; change nothing.

    Nothing is loaded: a collection that is not in the server's memory stays out of it.

    Args:
        settings: of the store.
        client: the live client.
        version: what the server calls itself.
        lite: whether it is Milvus Lite.
        took_s: how long connecting took, in seconds.
        exactness: tells of a loaded collection that it is exact, or why not.
    """
    timeout = settings.call_timeout
    yield Finding(
        "connection", "ok", f"{settings.place} answers ({1000 * took_s:.0f} ms to connect)"
    )
    yield _version(version)
    if not lite:
        yield _account(settings, client)
    yield _database(settings, client)
    with boundary("diagnose"):
        names = sorted(client.list_collections(timeout=timeout))
    yield Finding("collections", "ok", f"{len(names)}: {', '.join(names[:_LISTED]) or 'none'}")
    for name in names[:_LISTED]:
        check = f"collection {name}"
        try:
            with boundary("diagnose"):
                finding = _collection(client, check, name, timeout, exactness)
        except BackendError as error:
            finding = Finding(check, "warning", str(error))
        yield finding


def _version(version: str) -> Finding:
    found = f"Milvus {version}"
    proven = next((date for known, date in PROVEN.items() if version.startswith(known)), None)
    if proven is not None:
        found = f"{found}: the whole conformance suite was run on it, {proven}"
        return Finding("version", "ok", found)
    if (release_of(version) or _OLDEST_TESTED) < _OLDEST_TESTED:
        return Finding("version", "warning", found, "vecbridge is tested from 2.3 on: upgrade")
    return Finding(
        "version",
        "warning",
        f"{found}: not proven on this version, but on {', '.join(PROVEN)}",
        "run the suite on a server of this version: vecbridge conformance run milvus -o uri=...",
    )


def _account(settings: MilvusSettings, client: MilvusClient) -> Finding:
    """Say who asks, and whether the server wants to know."""
    named = settings.account
    if not named:
        return Finding(
            "account",
            "warning",
            "none was asked for: every client that reaches this server can read and delete "
            "everything",
            "fine on a machine of your own; elsewhere turn on authorization and TLS",
        )
    account = redacted(named)
    try:
        with boundary("diagnose"):
            user = client.describe_user(user_name=named, timeout=settings.call_timeout)
    except AuthenticationError:
        # Only administrators may read roles.
        return Finding("account", "ok", f"{account} (its roles are for administrators to read)")
    except BackendError as error:
        return Finding("account", "warning", f"{account}: {error}")
    listed = ", ".join(map(str, user.get("roles") or ())) or "none"
    return Finding("account", "ok", f"{account}, roles: {listed}")


def _database(settings: MilvusSettings, client: MilvusClient) -> Finding:
    current = settings.db_name or "default"
    try:
        with boundary("diagnose"):
            names = [str(name) for name in client.list_databases(timeout=settings.call_timeout)]
    except BackendError:
        found = f"{redacted(current)} (others are not listed to this account)"
        return Finding("database", "ok", found)
    others = ", ".join(name for name in names if name != current)
    beside = f"there is also: {others}" if others else "there is no other"
    return Finding("database", "ok", f"{redacted(current)} ({beside})")


def _collection(
    client: MilvusClient, check: str, name: str, timeout: float, exactness: Callable[[str], str]
) -> Finding:
    loaded = client.get_load_state(name, timeout=timeout)["state"].name == "Loaded"
    indexes = [
        client.describe_index(name, index, timeout=timeout)
        for index in client.list_indexes(name, timeout=timeout)
    ]
    if not indexes:
        advice = "create one, or nothing can be searched"
        return Finding(check, "failed", "its vectors have no index", advice)
    described = ", ".join(map(_index, indexes))
    if not loaded:
        rows = client.get_collection_stats(name, timeout=timeout).get("row_count", "?")
        found = f"not loaded, up to {rows} rows, {described}"
        return Finding(check, "warning", found, "opening it with vecbridge loads it")
    (counted,) = client.query(name, filter="", output_fields=["count(*)"], timeout=timeout)
    try:
        told = exactness(name)
    except SchemaMismatchError as error:
        told = f"no index of vecbridge's: {error}"
    found = f"{int(counted['count(*)']):,} rows, loaded, {described}; {told}"
    waiting = sum(int(index.get("pending_index_rows") or 0) for index in indexes)
    if waiting:
        found = f"{found}; {waiting:,} rows are not indexed yet"
        needed = [needs(str(index.get("index_type"))) for index in indexes]
        ways = ["searches are right but slower meanwhile; wait"]
        ways += [f"the server cannot build it: {each}" for each in needed if each]
        return Finding(check, "warning", found, "; or else ".join(ways))
    if told.startswith(NOT_EXACT) and "FLAT" in {index.get("index_type") for index in indexes}:
        advice = "search with ranking='certified', or copy it to an index that vecbridge makes"
        return Finding(check, "warning", found, advice)
    return Finding(check, "ok", found)


def _index(described: dict[str, Any]) -> str:
    state = str(described.get("state") or "").lower()
    word = f"{described.get('index_type', '?')} {described.get('metric_type', '')}".strip()
    return word if state in {"", "finished"} else f"{word} ({state})"
