"""What only Chroma does: lost bits, one process, other programs' records, a token."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import chromadb
import numpy as np
import pytest
from chromadb.config import Settings

import vecbridge
from tests.servers.chroma import ChromaServer
from vecbridge import (
    AuthenticationError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    IndexNotFoundError,
    Metric,
    OperationTimeoutError,
    SchemaMismatchError,
    Store,
    UnsupportedError,
    field,
)

SECRET = "hunter2-hunter2"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with vecbridge.get_backend("chroma", path=tmp_path / "records") as store:
        yield store


@pytest.fixture(params=["path", "uri"])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Chroma in this process, and a server of it."""
    place = request.getfixturevalue("chroma_uri") if request.param == "uri" else tmp_path
    with vecbridge.get_backend("chroma", **{request.param: place}) as store:
        yield store


def raw(folder: Path) -> Any:
    return chromadb.PersistentClient(folder, Settings(anonymized_telemetry=False))


@pytest.mark.parametrize("metric", ["cosine", "dotproduct", "euclidean"])
def test_no_bit_of_a_record_is_lost(anywhere: Store, metric: Metric) -> None:
    rng = np.random.default_rng(0)
    bits = rng.integers(0, 2**32, (700, 6), np.uint64).astype(np.uint32).view(np.float32)
    vectors = np.where(np.isfinite(bits), bits, np.float32(-0.0))
    vectors[:2] = -0.0
    now = datetime.now(timezone.utc)
    fields: Any = {
        "f": [float(each) for each in rng.standard_normal(700)],
        "i": [int(each) for each in rng.integers(-(2**63), 2**63 - 1, 700)],
        "l": [["b", "", "b"][: row % 4] for row in range(700)],
        "t": [None if row % 2 else now for row in range(700)],
    }
    fields["f"][0] = -0.0
    ids = [f"id{row}" for row in range(700)]
    kinds: Any = {"f": "float", "i": "integer", "l": "strings", "t": "timestamp?"}
    name = f"t_{uuid.uuid4().hex}"
    index = anywhere.create_index(name, dimension=6, metric=metric, fields=kinds)
    index.upsert(ids, vectors, fields)
    for _ in range(2):
        found = index.fetch(ids)
        assert (found.vectors.view(np.uint32) == vectors.view(np.uint32)).all()
        assert found.fields == fields
        assert str(found.fields["f"][0]) == "-0.0"
        # Links the records, which come out of the graph from then on.
        index.search(np.ones(6), k=3)
    anywhere.drop_index(name)


def test_a_record_that_is_replaced_keeps_nothing_of_the_old_one(store: Store) -> None:
    kinds: Any = {"s": "string?", "l": "strings", "f": "float?"}
    index = store.create_index("t", dimension=2, metric="cosine", fields=kinds)
    index.upsert(["a"], [[1, 1]], {"s": ["x"], "l": [["y"]], "f": [1.5]})
    index.upsert(["a"], [[3, 7]], {"s": [None], "l": [[]], "f": [None]})
    found = index.fetch(["a"])
    assert found.fields == {"s": [None], "l": [[]], "f": [None]}
    assert found.vectors.tolist() == [[3, 7]]
    assert index.count(where=field("s").is_missing() & ~field("l").contains("y")) == 1


def test_the_recall_is_met_by_asking_for_more(store: Store) -> None:
    rng = np.random.default_rng(0)
    index = store.create_index("t", dimension=48, metric="cosine")
    index.upsert([f"id{row}" for row in range(3000)], rng.standard_normal((3000, 48)))
    queries = rng.standard_normal((40, 48))
    found = index.search(queries, k=10)
    true = index.search(queries, k=10, ranking="certified")
    pairs = zip(found, true, strict=True)
    assert np.mean([len({*a.ids} & {*b.ids}) / 10 for a, b in pairs]) >= 0.93
    assert not index.capabilities.exact
    assert not any(hits.exact for hits in found)
    assert all(hits.exact for hits in true)


def test_a_filter_that_sqlite_does_not_take_is_answered(store: Store) -> None:
    index = store.create_index("t", dimension=2, metric="euclidean", fields={"n": "integer"})
    index.upsert([*"abc"], [[0, 0], [1, 0], [2, 0]], {"n": [1, 2, 40_000]})
    where = field("n").is_in(range(2, 50_000))
    assert index.search([0, 0], k=3, where=where)[0].ids == ("b", "c")
    assert index.count(where=where) == 2


OPENING = """
import sys, vecbridge
vecbridge.get_backend("chroma", path=sys.argv[1]).open_index("t")
"""


def test_one_process_at_a_time_has_a_folder(store: Store, tmp_path: Path) -> None:
    index = store.create_index("t", dimension=2, metric="cosine")
    index.upsert(["a"], [[1, 2]])
    command = [sys.executable, "-W", "ignore", "-c", OPENING, str(tmp_path / "records")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert "another process has the Chroma store" in done.stderr
    with vecbridge.get_backend("chroma", path=tmp_path / "records") as second:
        assert second.open_index("t").count() == 1
    assert index.count() == 1


FORKING = """
import os, sys, vecbridge
store = vecbridge.get_backend("chroma", path=sys.argv[1])
index = store.create_index("t", dimension=2, metric="cosine")
index.upsert(["a"], [[1, 2]])
if not os.fork():
    try:
        index.count()
    except vecbridge.ConfigurationError as error:
        os._exit(7 if "another process" in str(error) else 1)
    os._exit(2)
assert os.waitstatus_to_exitcode(os.wait()[1]) == 7
store.close()
if not os.fork():
    with vecbridge.get_backend("chroma", path=sys.argv[1]) as store:
        os._exit(store.open_index("t").count())
assert os.waitstatus_to_exitcode(os.wait()[1]) == 1
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform does not fork")
def test_a_forked_child_is_another_process(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_reading_makes_no_folder(store: Store, tmp_path: Path) -> None:
    assert store.index_names() == []
    assert [each.status for each in store.backend.diagnose()] == ["ok"]  # type: ignore[attr-defined]
    with pytest.raises(IndexNotFoundError):
        store.open_index("t")
    assert not (tmp_path / "records").exists()


def test_a_file_that_is_not_chromas_is_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "chroma.sqlite3"
    file.write_bytes(b"something else" * 100)
    for _ in range(2):
        with (
            vecbridge.get_backend("chroma", path=tmp_path) as store,
            pytest.raises(CorruptStoreError),
        ):
            store.index_names()
    assert file.read_bytes() == b"something else" * 100
    with (
        vecbridge.get_backend("chroma", path=file) as store,
        pytest.raises(ConfigurationError, match="setting path"),
    ):
        store.create_index("t", dimension=2, metric="cosine")


def test_what_chromas_own_client_made_is_read_and_not_written(tmp_path: Path) -> None:
    vectors = np.random.default_rng(0).standard_normal((60, 4)).astype(np.float32)
    ids, client = [f"d{row}" for row in range(60)], raw(tmp_path)
    rows = [{"page": row, "score": row / 7, "a-b": 1} for row in range(60)]
    # As in its quickstart, with documents; the embedding function that it names is never called.
    made = client.create_collection("docs")
    made.add(ids, embeddings=vectors, documents=["text"] * 60, metadatas=rows)
    client.create_collection("empty")
    client.close()
    with vecbridge.get_backend("chroma", path=tmp_path) as store:
        assert store.index_names() == ["docs", "empty"]
        index = store.open_index("docs")
        assert dict(index.info.fields) == {"page": "integer?", "score": "float?"}
        assert (index.info.metric, index.info.dimension) == ("euclidean", 4)
        assert {"a-b", "chroma:document"} <= index.info.unsupported.keys()
        assert index.fetch(ids).vectors.tolist() == vectors.tolist()
        hits = index.search(vectors[3], k=2, where=field("score") > 0.4, fields=True)[0]
        assert hits.ids[0] == "d3"
        assert hits.fields["page"][0] == 3
        native = index.search(vectors[3], k=5, ranking="native")[0]
        true = index.search(vectors[3], k=5, ranking="certified")[0]
        np.testing.assert_allclose(native.distances, true.distances, atol=1e-3)
        with pytest.raises(UnsupportedError, match="no record can be written"):
            index.upsert(["x"], vectors[:1], {"page": [1], "score": [1.0]})
        index.delete(["d0"])
        assert index.count() == 59
        with pytest.raises(SchemaMismatchError, match="no dimension yet"):
            store.open_index("empty")


def test_what_another_program_wrote_into_an_index_is_not_guessed(tmp_path: Path) -> None:
    with vecbridge.get_backend("chroma", path=tmp_path) as store:
        index = store.create_index("docs", dimension=2, metric="cosine")
        index.upsert(["a", "b"], [[1, 2], [3, 5]])
        client = raw(tmp_path)
        made = client.get_collection("docs", embedding_function=None)
        made.upsert(["c"], embeddings=[[1.0, 0.0]])
        with pytest.raises(CorruptStoreError, match="another program"):
            index.search([1, 1], k=3)
        made.delete(["c"])
        made.update(["a"], embeddings=[[1.0, 0.0]])
        with pytest.raises(CorruptStoreError, match="another program"):
            index.fetch(["a"])
        assert index.fetch(["b"]).vectors.tolist() == [[3, 5]]
        client.close()


def test_a_server_that_is_frozen_or_gone_is_given_up_in_time(chroma_server: ChromaServer) -> None:
    options = {"uri": chroma_server.uri, "timeout": 1.0, "retry_timeout": 20.0}
    with vecbridge.get_backend("chroma", **options) as store:
        index = store.create_index("t", dimension=2, metric="cosine")
        index.upsert(["a"], [[1, 2]])
        chroma_server.freeze()
        try:
            with pytest.raises(OperationTimeoutError, match="setting timeout"):
                index.count()
            with (
                vecbridge.get_backend("chroma", **options) as other,
                pytest.raises(OperationTimeoutError),
            ):
                other.index_names()
        finally:
            chroma_server.thaw()
        chroma_server.kill()
        timer = threading.Timer(0.5, chroma_server.start)
        timer.start()
        assert index.count() == 1
        timer.join()
        store.drop_index("t")
    for given, advice in (({"tenant": "not-there"}, "tenant"), ({"database": "not-there"}, "data")):
        with (
            vecbridge.get_backend("chroma", **options, **given) as store,
            pytest.raises(ConfigurationError, match=f"settings .*{advice}"),
        ):
            store.index_names()


class Gate(BaseHTTPRequestHandler):
    """Stands before a server, and takes one token."""

    seen: list[str] = []  # noqa: RUF012 - one list for every request

    def do_GET(self) -> None:
        self.seen.append(str(self.headers["Authorization"]))
        self.send_response(401)
        self.end_headers()
        self.wfile.write(b'{"error": "AuthError", "message": "Forbidden"}')

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_a_token_is_sent_and_kept_out_of_errors() -> None:
    gate = HTTPServer(("127.0.0.1", 0), Gate)
    threading.Thread(target=gate.serve_forever, daemon=True).start()
    try:
        place = f"http://127.0.0.1:{gate.server_port}"
        with (
            vecbridge.get_backend("chroma", uri=place, token=SECRET) as store,
            pytest.raises(AuthenticationError, match="token") as caught,
        ):
            store.index_names()
    finally:
        gate.shutdown()
        gate.server_close()
    assert Gate.seen == [f"Bearer {SECRET}"]
    for error in (caught.value, caught.value.__cause__, caught.value.__context__):
        assert SECRET not in f"{error!r} {vars(error) if error else ''}"
    with (
        vecbridge.get_backend("chroma", uri=place) as store,
        pytest.raises(ConnectionFailedError, match="Is the server running"),
    ):
        store.index_names()


def test_an_index_whose_metadata_another_program_replaced_is_not_taken_for_its_own(
    tmp_path: Path,
) -> None:
    with vecbridge.get_backend("chroma", path=tmp_path) as store:
        store.create_index("photos", dimension=2, metric="cosine").upsert(["a"], [[3, 4]])
    client = raw(tmp_path)
    client.get_collection("photos").modify(metadata={"owner": "me"})
    client.close()
    with (
        vecbridge.get_backend("chroma", path=tmp_path) as store,
        pytest.raises(CorruptStoreError, match="was replaced by another program"),
    ):
        store.open_index("photos")


def test_a_rest_that_another_program_changed_is_told(tmp_path: Path) -> None:
    with vecbridge.get_backend("chroma", path=tmp_path) as store:
        store.create_index("photos", dimension=2, metric="cosine").upsert(["a"], [[3, 4]])
    client = raw(tmp_path)
    client.get_collection("photos").update("a", metadatas={"|rest|": "zz"})
    client.close()
    with (
        vecbridge.get_backend("chroma", path=tmp_path) as store,
        pytest.raises(CorruptStoreError, match="another program"),
    ):
        store.open_index("photos").fetch(["a"])


@pytest.mark.parametrize("left", ["empty", "missing", "file"])
def test_what_is_left_of_a_store_is_not_an_empty_one(tmp_path: Path, left: str) -> None:
    place = tmp_path / "records"
    if left == "file":
        place.write_bytes(b"text")
    else:
        (place / str(uuid.uuid4())).mkdir(parents=True)
    if left == "empty":
        (place / "chroma.sqlite3").touch()
    before = sorted(tmp_path.rglob("*"))
    with (
        pytest.raises((CorruptStoreError, ConfigurationError)),
        vecbridge.get_backend("chroma", path=place) as store,
    ):
        store.index_names()
    assert sorted(tmp_path.rglob("*")) == before
