"""A Qdrant that the tests are pointed at; there is none that they could start.

``VECBRIDGE_TEST_QDRANT_URL`` is its address, ``VECBRIDGE_TEST_QDRANT_API_KEY`` its key. It has to
be empty, and what the tests make there is dropped at the end.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

URL = os.environ.get("VECBRIDGE_TEST_QDRANT_URL", "")
_KEY = os.environ.get("VECBRIDGE_TEST_QDRANT_API_KEY", "")


@contextmanager
def given_qdrant() -> Iterator[dict[str, object]]:
    """Yield the settings of the server; drop the collections that are there afterwards."""
    from qdrant_client import QdrantClient

    client = QdrantClient(url=URL, api_key=_KEY or None)
    if found := client.get_collections().collections:
        pytest.exit(f"the Qdrant at {URL} holds {len(found)} collections: give an empty one", 4)
    try:
        yield {"url": URL, **({"api_key": _KEY} if _KEY else {})}
    finally:
        for each in client.get_collections().collections:
            client.delete_collection(each.name)
        client.close()
