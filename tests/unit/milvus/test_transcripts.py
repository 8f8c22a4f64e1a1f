"""What a server answered is answered again without it, and nothing else is.

The server is one of the tests' own: `make record-milvus` records a real one.
"""

from __future__ import annotations

import gzip
import uuid
from contextlib import suppress
from pathlib import Path

import pytest

import vecbridge
from tests.servers.milvus_wire import Wire
from tools.milvus_transcript import Recorder, Replay, Steady, serving
from vecbridge import VecbridgeError

Told = list[object]


def work(uri: str, k: int = 2) -> Told:
    """What a program asks a store, and what it is told."""
    told: Told = []
    with vecbridge.get_backend("milvus", uri=uri, timeout=5, retry_timeout=0) as store:
        name = f"t_{uuid.uuid4().hex}"
        index = store.create_index(name, dimension=2, fields={"n": "integer"})
        try:
            for turn in range(2):
                # The same question before and after a write has another answer.
                index.upsert(["a", "b", "c"], [[1, 2], [2, 1], [turn, 1]], {"n": [1, 2, turn]})
                (hits,) = index.search([1, 1], k, fields=True, consistency="strong")
                told += [name, hits.ids, hits.distances.tolist(), hits.fields, hits.exact]
                told.append(index.count(where=vecbridge.field("n") >= 1, consistency="strong"))
            store.open_index("nowhere")
        except VecbridgeError as error:
            told.append(str(error))
        finally:
            with suppress(VecbridgeError):
                store.drop_index(name)
    return told


def test_a_recording_answers_what_was_asked(
    wire: Wire, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "transcript.gz"
    recorder = Recorder(wire.uri, path, ["a", "command"])
    monkeypatch.setattr(uuid, "uuid4", Steady())
    with serving(recorder) as uri:
        recorded = work(uri)
    recorder.close()
    assert len(recorded) == 13

    replay = Replay(path)
    assert replay.header["command"] == ["a", "command"]
    monkeypatch.setattr(uuid, "uuid4", Steady())
    with serving(replay) as uri:
        assert work(uri) == recorded
    assert replay.missing == []

    replay = Replay(path)
    monkeypatch.setattr(uuid, "uuid4", Steady())
    with serving(replay) as uri:
        assert "the transcript has no answer to Search" in str(work(uri, k=1))
    assert replay.missing


def test_what_is_asked_from_time_to_time_is_answered_at_any_place(
    wire: Wire, tmp_path: Path
) -> None:
    """How many replicas answer is asked once a minute: a replay is quicker, and asks elsewhere."""
    from pymilvus.grpc_gen import milvus_pb2

    asked = milvus_pb2.GetReplicasRequest(collectionID=7).SerializeToString()
    gone = milvus_pb2.DropCollectionRequest(collection_name="nowhere").SerializeToString()
    path = tmp_path / "transcript.gz"
    recorder = Recorder(wire.uri, path, [])
    recorder.answer("DropCollection", gone, ())
    recorded = recorder.answer("GetReplicas", asked, ())
    recorder.close()
    replay = Replay(path)
    assert replay.answer("GetReplicas", asked, ()) == recorded
    assert replay.missing == []


def test_no_credentials_are_recorded(wire: Wire, tmp_path: Path) -> None:
    from pymilvus.grpc_gen import milvus_pb2

    path = tmp_path / "transcript.gz"
    recorder = Recorder(wire.uri, path, [])
    asked = milvus_pb2.CreateCredentialRequest(username="u", password="cGxhbnRlZC00Mg==")
    recorder.answer("CreateCredential", asked.SerializeToString(), [("x", "planted-42")])
    recorder.answer("GetVersion", b"", [("authorization", "planted-42")])
    recorder.close()
    text = gzip.decompress(path.read_bytes()).decode()
    assert "GetVersion" in text
    assert "Credential" not in text
    assert "planted-42" not in text
