"""Records through the layer: in parts, in order, and what part-way failures leave."""

from __future__ import annotations

import gc
from typing import Any

import numpy as np
import pytest

from tests.unit.remote.shelf import Client, Server, ShelfBackend
from vecbridge import (
    ClosedError,
    ConnectionFailedError,
    IndexExistsError,
    IndexNotFoundError,
    PartialWriteError,
    SchemaMismatchError,
    Store,
    field,
)
from vecbridge.diagnosis import Finding
from vecbridge.remote import TooLargeError

IDS = [f"id{number:03}" for number in range(120)]
VECTORS = np.arange(240, dtype=np.float32).reshape(120, 2)


def test_what_is_written_in_parts_is_read_in_the_order_of_the_request() -> None:
    with Store(ShelfBackend(Server())) as store:
        index = store.create_index("t", dimension=2, metric="euclidean", fields={"n": "integer"})
        index.upsert(IDS, VECTORS, {"n": list(range(120))})
        asked = [*reversed(IDS), "none"]
        found = index.fetch(asked)
        assert found.ids == tuple(reversed(IDS))
        assert found.missing == ("none",)
        assert found.vectors.tolist() == VECTORS[::-1].tolist()
        assert list(found.fields["n"]) == list(reversed(range(120)))
        assert index.contains(["none", IDS[7]]).tolist() == [False, True]
        index.delete(IDS[:100])
        assert index.count() == 20


def test_what_is_too_large_for_the_store_is_written_in_smaller_parts() -> None:
    server = Server(most_written=7)
    with Store(ShelfBackend(server)) as store:
        index = store.create_index("t", dimension=2, metric="euclidean")
        index.upsert(IDS, VECTORS)
        assert index.count() == 120
        server.most_written = 0
        with pytest.raises(TooLargeError):
            index.upsert(IDS, VECTORS)


def test_pages_and_ranges_visit_every_record_once() -> None:
    with Store(ShelfBackend(Server())) as store:
        index = store.create_index("t", dimension=2, metric="euclidean", fields={"n": "integer"})
        index.upsert(IDS, VECTORS, {"n": list(range(120))})
        assert sorted(name for page in index.scan(7) for name in page.ids) == IDS
        even = [name for page in index.scan(7, where=field("n") < 9) for name in page.ids]
        assert sorted(even) == IDS[:9]
        ranges = index.partitions(4)
        parts = [
            [name for page in index.scan(50, start=part.start, stop=part.stop) for name in page.ids]
            for part in ranges
        ]
        assert [name for part in parts for name in part] == IDS
        assert [len(part) for part in parts] == [30] * 4


def test_a_write_that_fails_part_way_says_what_is_written() -> None:
    server = Server()
    with Store(ShelfBackend(server)) as store:
        engine = store.create_index("t", dimension=2, metric="euclidean").engine
        put, calls = type(engine.collection).put, 0  # type: ignore[attr-defined]

        def fails_at_the_second(*arguments: object) -> None:
            nonlocal calls
            calls += 1
            if calls == 2:
                from vecbridge import BackendError

                raise BackendError("the disk is full", backend="shelf", operation="upsert")
            put(engine.collection, *arguments)  # type: ignore[attr-defined]

        engine.collection.put = fails_at_the_second  # type: ignore[attr-defined]
        with pytest.raises(PartialWriteError) as caught:
            engine.upsert(IDS, VECTORS)
        assert caught.value.written == tuple(IDS[:50])
        assert caught.value.unknown == tuple(IDS[50:])
        assert len(server.indexes["t"][1]) == 50


def test_names_that_are_taken_or_unknown_are_refused() -> None:
    with Store(ShelfBackend(Server())) as store:
        store.create_index("t", dimension=2, metric="euclidean")
        with pytest.raises(IndexExistsError, match="'t'"):
            store.create_index("t", dimension=3, metric="cosine")
        with pytest.raises(IndexNotFoundError, match="there are: t"):
            store.open_index("u")
        with pytest.raises(IndexNotFoundError, match="'u'"):
            store.drop_index("u")


def test_a_store_that_is_forgotten_ends_its_clients() -> None:
    clients: list[Client] = []

    class Watched(ShelfBackend):
        def connect(self) -> Client:
            clients.append(super().connect())
            return clients[-1]

    backend = Watched(Server())
    assert backend.index_names() == []
    assert clients[0].open
    del backend
    gc.collect()
    assert not clients[0].open


def test_a_closed_index_refuses_every_call() -> None:
    backend = ShelfBackend(Server())
    with Store(backend) as store:
        engine = store.create_index("t", dimension=2, metric="euclidean").engine
        engine.close()
        with pytest.raises(ClosedError, match="open it again"):
            engine.contains(["a"], consistency="strong")
    with pytest.raises(ClosedError, match="get another one"):
        backend.index_names()


def test_the_doctor_looks_at_the_store_and_at_every_index(monkeypatch: pytest.MonkeyPatch) -> None:
    backend = ShelfBackend(Server())
    with Store(backend) as store:
        store.create_index("good", dimension=2, metric="cosine").upsert(IDS, VECTORS)
        store.create_index("strange", dimension=2, metric="cosine")
        find = backend.find

        def refusing(client: Client, name: str) -> Any:
            if name == "strange":
                raise SchemaMismatchError("it has no ids")
            return find(client, name)

        monkeypatch.setattr(backend, "find", refusing)
        monkeypatch.setattr(backend, "findings", lambda: iter([Finding("shelf", "ok", "here")]))
        found = [(each.check, each.status, each.found) for each in backend.diagnose()]
    assert found == [
        ("shelf", "ok", "here"),
        ("index good", "ok", "120 records, 2 dimensions, cosine"),
        ("index strange", "warning", "it cannot be opened"),
    ]


def test_what_is_secret_in_the_settings_is_shown_by_no_error() -> None:
    server = Server(failures=[ConnectionError("here, pa55word is refused")])
    with Store(ShelfBackend(server, password="pa55word")) as store:
        with pytest.raises(ConnectionFailedError) as caught:
            store.index_names()
        assert "here" in str(caught.value)
        assert "pa55word" not in f"{caught.value} {caught.value.__cause__}"
