"""pymilvus's default connection is left alone where that would lend credentials."""

from __future__ import annotations

import warnings
from typing import Any

import pytest

vecbridge_milvus = pytest.importorskip("vecbridge_milvus")

NO_SERVER = "http://127.0.0.1:9"


@pytest.mark.parametrize(
    "given",
    [
        {"uri": NO_SERVER, "user": "carol", "password": "s3cret"},
        {"uri": NO_SERVER, "token": "carol:s3cret"},
        {"uri": "http://carol:s3cret@127.0.0.1:9"},
        {"uri": "https://127.0.0.1:9"},
        {"uri": NO_SERVER, "secure": True},
        {"uri": "vectors.db"},
    ],
    ids=["password", "token", "address", "https", "secure", "lite"],
)
def test_no_connection_is_made_with_credentials(fob: Any, given: dict[str, Any]) -> None:
    from vecbridge.fiftyone.similarity import connect_default

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pymilvus import connections

        # Another test may have connected it.
        connections.remove_connection("default")
        # It would fail here: no server answers.
        connect_default(vecbridge_milvus.MilvusBackend.settings_type(**given))
        assert not connections.has_connection("default")
