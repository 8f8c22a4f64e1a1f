"""What the doctor tells of a live Milvus, and of Lite."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import vecbridge
from tests.servers.given_milvus import needs_own
from vecbridge import Store
from vecbridge.diagnosis import Finding, diagnose

Findings = dict[str, Finding]


def found(uri: str, *, write: bool = True) -> Findings:
    return {each.check: each for each in diagnose("milvus", write=write, uri=uri)}


@needs_own
def test_a_healthy_server(milvus_server_uri: str) -> None:
    told = found(milvus_server_uri)
    assert told["connection"].found.startswith(milvus_server_uri)
    assert told["version"].status == "ok"
    assert "2.3.5" in told["version"].found
    assert "the whole conformance suite was run on it, 20" in told["version"].found
    assert told["account"].status == "warning"
    assert told["database"].found.startswith("default")
    assert told["write and read"].status == "ok"
    assert "eventual" in told["consistency"].found
    assert not [each for each in told.values() if each.status == "failed"]


def test_collections_are_told_and_not_loaded(milvus_server_uri: str) -> None:
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        index = store.create_index("examined", dimension=4, metric="cosine")
        try:
            index.upsert(["a", "b"], np.eye(2, 4, dtype=np.float32))
            assert index.count(consistency="strong") == 2
            assert "2 rows, loaded, FLAT COSINE" in _examined(store, milvus_server_uri).found
            client = store.backend.client  # type: ignore[attr-defined]
            client.release_collection("examined")
            released = _examined(store, milvus_server_uri)
            assert (released.status, "not loaded" in released.found) == ("warning", True)
            assert client.get_load_state("examined")["state"].name == "NotLoad"
        finally:
            store.drop_index("examined")


def test_lite(tmp_path_factory: pytest.TempPathFactory) -> None:
    uri = str(tmp_path_factory.mktemp("lite") / "vectors.db")
    with vecbridge.get_backend("milvus", uri=uri) as store:
        store.create_index("photos", dimension=2)
    told = found(uri)
    assert "milvus_lite-3.2.2: the whole conformance suite was run" in told["version"].found
    assert "account" not in told
    assert told["consistency"].status == "ok"


def test_a_server_that_is_not_there_is_reported_with_what_to_do() -> None:
    told = list(diagnose("milvus", uri="http://127.0.0.1:1", timeout=2))
    assert [each.status for each in told] == ["ok", "failed"]
    assert "Start a Milvus server" in told[-1].found


def test_no_secret_is_told(milvus_server_uri: str) -> None:
    command = [sys.executable, "-m", "vecbridge.cli", "doctor", "milvus", "--json", "--read-only"]
    options = ["-o", f"uri={milvus_server_uri}", "-o", "user=root", "-o", "password=planted-42"]
    done = subprocess.run([*command, *options], check=False, capture_output=True, text=True)
    assert json.loads(done.stdout)["findings"]
    assert "planted-42" not in done.stdout + done.stderr


def _examined(store: Store, uri: str) -> Finding:
    assert "examined" in store.index_names()
    return found(uri, write=False)["collection examined"]
