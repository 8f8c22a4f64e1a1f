"""Older releases of pymilvus, each in a process of its own, on the server of the session."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tools.pymilvus_overlay import RELEASES, overlay

# Dead addresses, wrong words and missing databases are told by pymilvus in ways of each release.
SMOKE = """
import sys
import numpy as np
import pymilvus
import vecbridge

uri, name = sys.argv[1:]
vectors = np.random.default_rng(7).normal(size=(300, 8)).astype(np.float32)
ids = [f"a'{number}" for number in range(300)]
distances = np.linalg.norm(vectors[0].astype(float) - vectors, axis=1)
options = {"uri": uri, "timeout": 10}

with vecbridge.get_backend("milvus", **options) as store:
    index = store.create_index(name, dimension=8, metric="euclidean", fields={"n": "integer"})
    index.upsert(ids, vectors, fields={"n": list(range(300))})
    (hits,) = index.search(vectors[0], k=20)
    assert hits.exact
    assert list(hits.ids) == [ids[row] for row in np.argsort(distances)[:20]], hits.ids
    assert np.allclose(hits.distances, np.sort(distances)[:20], rtol=1e-14)
    index.delete(ids[:10])
    assert not index.contains(ids[:10], consistency="session").any()
    index.upsert(ids[:1], vectors[1:2], fields={"n": [5]})
    assert (index.fetch(ids[:1], consistency="session").vectors == vectors[1]).all()
    (only,) = index.search(vectors[0], k=5, where=vecbridge.field("n") == 42)
    assert list(only.ids) == [ids[42]]
    store.backend.client.release_collection(name)
    assert index.count() == 291

with vecbridge.get_backend("milvus", **options) as store:
    index = store.open_index(name)
    assert index.info.dimension == 8
    assert index.info.metric == "euclidean"
    assert sum(len(records.ids) for records in index.scan(100)) == 291
    store.drop_index(name)
    assert name not in store.index_names()
    try:
        index.count()
    except vecbridge.IndexNotFoundError:
        pass

for wrong, expected, told in (
    ({"uri": "http://127.0.0.1:1"}, vecbridge.ConnectionFailedError, "no server answers"),
    ({"uri": uri.replace("http:", "https:")}, vecbridge.ConnectionFailedError, "speak TLS"),
    ({"db_name": "nowhere"}, vecbridge.ConfigurationError, "nowhere"),
):
    with vecbridge.get_backend("milvus", **{**options, "timeout": 2, **wrong}) as store:
        try:
            store.index_names()
        except expected as error:
            assert told in str(error), error
        else:
            raise AssertionError(wrong)
print(pymilvus.__version__)
"""


@pytest.mark.parametrize("release", RELEASES)
def test_an_older_pymilvus(release: str, milvus_server_uri: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", SMOKE, milvus_server_uri, f"v_{release.replace('.', '_')}"],
        env={**os.environ, "PYTHONPATH": str(overlay(release))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ran.stdout.strip() == release, ran.stderr
    assert "Traceback" not in ran.stderr
