"""A Milvus that the tests are pointed at, instead of the one that they start.

``VECBRIDGE_TEST_MILVUS_URI`` is its address, ``VECBRIDGE_TEST_MILVUS_TOKEN`` an API key or
``user:password``. Everything that is made there is made in one database, which is dropped at the
end: one of this session's own, or the one that ``VECBRIDGE_TEST_MILVUS_DB`` names, for an account
that may not create databases. That one has to be empty, and is only emptied.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

URI = os.environ.get("VECBRIDGE_TEST_MILVUS_URI", "")
_TOKEN = os.environ.get("VECBRIDGE_TEST_MILVUS_TOKEN", "")
_DATABASE = os.environ.get("VECBRIDGE_TEST_MILVUS_DB", "")
_TOKEN_SETTING, _DATABASE_SETTING = (
    f"FIFTYONE_BRAIN_SIMILARITY_MILVUS_{name}" for name in ("TOKEN", "DB_NAME")
)
SETTINGS = {_TOKEN_SETTING, _DATABASE_SETTING} if URI else set[str]()
"""Variables that belong to the tests, not to the user whose environment they leave behind."""
LEFT_OUT = (
    "needs a server of its own, to kill or configure it or to write outside of one database; left "
    "out where one is given"
)
_SERVERS = {"milvus_server_uri", "server", "guarded", "one_way", "mutual"}
needs_own = pytest.mark.skipif(bool(URI), reason=LEFT_OUT)


def is_for_server(item: pytest.Item) -> bool:
    """Return whether a test asks a Milvus server: the one that is given, or one of its own."""
    words = getattr(item, "callspec", None)
    values = [] if words is None else [str(value) for value in words.params.values()]
    asked: list[str] = getattr(item, "fixturenames", [])
    return not _SERVERS.isdisjoint(asked) or any("server" in value for value in values)


@contextmanager
def given_database() -> Iterator[str]:
    """Yield the address of the server, all of whose users in this session share one database.

    The settings reach vecbridge by the environment, so that processes of tests have them too.
    """
    with pytest.MonkeyPatch.context() as patch:
        if _TOKEN:
            patch.setenv(_TOKEN_SETTING, _TOKEN)
        name = _DATABASE or f"vecbridge_test_{uuid.uuid4().hex[:12]}"
        if not _DATABASE:
            with _client() as client:
                client.create_database(name)
        patch.setenv(_DATABASE_SETTING, name)
        try:
            with _client(name) as client:
                if found := client.list_collections():
                    pytest.exit(
                        f"the database {name!r} holds {len(found)} collections, and the tests "
                        f"drop what they find there: give an empty one as VECBRIDGE_TEST_MILVUS_DB",
                        returncode=4,
                    )
            yield URI
        finally:
            sweep()
            if not _DATABASE:
                with _client() as client:
                    client.drop_database(name)


def sweep() -> None:
    """Drop every collection of the session's database, if there is one."""
    name = os.environ.get(_DATABASE_SETTING)
    if not URI or not name:
        return
    with _client(name) as client:
        for collection in client.list_collections():
            for alias in client.describe_collection(collection)["aliases"]:
                client.drop_alias(alias)
            client.drop_collection(collection)


@pytest.fixture(scope="module", autouse=True)
def swept_milvus() -> Iterator[None]:
    """Empties the database after each module: a server admits few collections in one (2.3: 64)."""
    yield
    sweep()


@contextmanager
def _client(database: str = "") -> Iterator[Any]:
    from pymilvus import MilvusClient

    client = MilvusClient(uri=URI, token=_TOKEN, db_name=database, dedicated=True)
    try:
        yield client
    finally:
        client.close()
