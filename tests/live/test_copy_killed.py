"""A copy to a live Milvus that is killed goes on where it was, and is proven whole."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np

import vecbridge
from vecbridge.transfer import checksum, copy

RECORDS, DIMENSION = 20_000, 32


def command(word: str, folder: Path, uri: str, *more: str) -> list[str]:
    source, target = "sklearn:photos", "milvus:copied_photos"
    places = [source, target, "-f", f"path={folder}", "-t", f"uri={uri}"]
    return [sys.executable, "-m", "vecbridge.cli", word, *places, *more]


def test_a_copy_that_is_killed_twice_is_resumed_and_verified(
    tmp_path: Path, milvus_server_uri: str
) -> None:
    rng = np.random.default_rng(3)
    with vecbridge.get_backend("sklearn", path=tmp_path) as store:
        index = store.create_index("photos", dimension=DIMENSION, metric="cosine")
        index.upsert(
            [f"photo '{row}'" for row in range(RECORDS)],
            rng.standard_normal((RECORDS, DIMENSION)).astype(np.float32),
        )
    with vecbridge.get_backend("milvus", uri=milvus_server_uri) as store:
        arrived = [0]
        for resume in ((), ("--resume",)):
            copying = subprocess.Popen(
                command("copy", tmp_path, milvus_server_uri, *resume), stderr=subprocess.DEVNULL
            )
            deadline = time.monotonic() + 120
            while copying.poll() is None and time.monotonic() < deadline:
                if "copied_photos" in store.index_names():
                    there = store.open_index("copied_photos").count(consistency="strong")
                    if there > arrived[-1]:
                        break
                time.sleep(0.02)
            copying.kill()
            copying.wait()
            arrived.append(store.open_index("copied_photos").count(consistency="strong"))
        assert 0 < arrived[1] <= arrived[2] <= RECORDS
        try:
            done = subprocess.run(
                command("copy", tmp_path, milvus_server_uri, "--resume", "--json"),
                check=True,
                capture_output=True,
            )
            said = json.loads(done.stdout)
            assert said["written"] + said["skipped"] == RECORDS
            assert said["skipped"] >= arrived[1]
            assert said["checksum"]["records"] == RECORDS
            compared = subprocess.run(
                command("verify", tmp_path, milvus_server_uri, "--json"),
                check=True,
                capture_output=True,
            )
            assert json.loads(compared.stdout)["same"] is True
        finally:
            store.drop_index("copied_photos")


def test_rows_that_the_server_doubled_are_made_one(tmp_path: Path, milvus_server_uri: str) -> None:
    from pymilvus import MilvusClient

    name = f"doubled_{uuid.uuid4().hex}"
    vectors = np.random.default_rng(3).standard_normal((200, 4)).astype(np.float32)
    with (
        vecbridge.get_backend("sklearn", path=tmp_path) as here,
        vecbridge.get_backend("milvus", uri=milvus_server_uri) as store,
    ):
        source = here.create_index(name, dimension=4, metric="cosine")
        source.upsert([f"photo{row:03}" for row in range(200)], vectors)
        done = copy(source, store)
        # As the last write of a worker that was killed, done again beside itself.
        client = MilvusClient(milvus_server_uri)
        some = client.query(name, filter="", limit=30, output_fields=["*"])
        client.insert(name, [*map(dict, some)])
        client.close()
        with store.open_index(name, consistency="strong") as copied:
            assert copied.count() == 230
            again = copy(source, store, resume=True)
            assert (again.skipped, again.checksum) == (200, done.checksum)
            assert copied.count() == 200
            assert checksum(copied) == checksum(source)
        store.drop_index(name)
