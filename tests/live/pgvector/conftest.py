"""Stores on a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any

import psycopg
import pytest

import vecbridge
from vecbridge import Store

Opener = Callable[..., Store]


@pytest.fixture
def raw(pgvector_uri: str) -> Iterator[psycopg.Connection[Any]]:
    """A connection past vecbridge, of the administrator."""
    with psycopg.connect(pgvector_uri, autocommit=True) as connection:
        connection.execute("CREATE EXTENSION IF NOT EXISTS vector")
        yield connection


@pytest.fixture
def schema(raw: psycopg.Connection[Any]) -> Iterator[str]:
    """A schema of this test's own."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    raw.execute(f'CREATE SCHEMA "{name}"')
    yield name
    raw.execute(f'DROP SCHEMA "{name}" CASCADE')


@pytest.fixture
def opened(pgvector_uri: str, schema: str) -> Iterator[Opener]:
    """Opens stores in that schema, and closes them at the end."""
    with ExitStack() as stack:

        def opener(**options: Any) -> Store:
            given = {"uri": pgvector_uri, "schema_name": schema, **options}
            return stack.enter_context(vecbridge.get_backend("pgvector", **given))

        yield opener


@pytest.fixture
def role(raw: psycopg.Connection[Any]) -> Iterator[str]:
    """A role that may do nothing but log in, with its own name for a password."""
    name = f"role_{uuid.uuid4().hex[:12]}"
    raw.execute(f"CREATE ROLE {name} LOGIN PASSWORD '{name}'")
    yield name
    raw.execute(f"DROP OWNED BY {name}")
    raw.execute(f"DROP ROLE {name}")
