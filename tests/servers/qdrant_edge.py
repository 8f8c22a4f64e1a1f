"""Qdrant's own segments, from their wheel, behind as much of its REST API as vecbridge calls.

There is no Qdrant server in a wheel. ``qdrant-edge-py`` has the code by which a server keeps
points, evaluates filters and searches; what is around it (routes, replicas, limits) is this
module's, and says nothing of a server's. ``python -m tests.servers.qdrant_edge PORT FOLDER`` runs
it.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import qdrant_edge as edge

VERSION = "1.16.0"
KEY = "not-a-secret"
_GRAPH_FROM_KB = 20


_WORDS = {True: "\x00true", False: "\x00false"}
"""What booleans are kept as: the wheel's conditions on booleans find nothing."""
_TRUTHS = {word: truth for truth, word in _WORDS.items()}


class RefusedError(Exception):
    """A request is answered with this status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


class Collections:
    """The collections of a folder: for each a shard, and how it was made.

    Args:
        folder: where they are.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.RLock()
        self.made: dict[str, dict[str, Any]] = {}
        self.shards: dict[str, edge.EdgeShard] = {}
        for place in folder.glob("*/made.json"):
            name = place.parent.name
            self.made[name] = json.loads(place.read_text(encoding="utf-8"))
            self.shards[name] = edge.EdgeShard.load(str(place.parent / "shard"))

    def make(self, name: str, made: dict[str, Any]) -> None:
        with self._lock:
            if name in self.made:
                raise RefusedError(409, f"Collection `{name}` already exists!")
            place = self._folder / name
            graph, given = made.get("hnsw_config") or {}, made["vectors"]
            named = {"": given} if "size" in given else given
            config = edge.EdgeConfig(
                vectors={key: _vectors(each, graph) for key, each in named.items()},
                optimizers=edge.EdgeOptimizersConfig(indexing_threshold=_GRAPH_FROM_KB),
            )
            place.mkdir(parents=True)
            self.shards[name] = edge.EdgeShard.create(str(place / "shard"), config)
            (place / "made.json").write_text(json.dumps(made), encoding="utf-8")
            self.made[name] = made

    def drop(self, name: str) -> bool:
        with self._lock:
            if self.made.pop(name, None) is None:
                return False
            self.shards.pop(name).close()
            shutil.rmtree(self._folder / name)
            return True

    def described(self, name: str) -> dict[str, Any]:
        self.shard(name).optimize()
        info, made = self.shard(name).info(), self.made[name]
        params = {"vectors": made["vectors"], "replication_factor": made.get("replication_factor")}
        graph = {"m": 16, "ef_construct": 100, "full_scan_threshold": 10000}
        optimizers = {"deleted_threshold": 0.2, "vacuum_min_vector_number": 1000}
        optimizers |= {"default_segment_number": 0, "flush_interval_sec": 5}
        return {
            "status": "green",
            "optimizer_status": "ok",
            "segments_count": info.segments_count,
            "points_count": info.points_count,
            "payload_schema": {},
            "config": {
                "params": params,
                "hnsw_config": graph,
                "optimizer_config": optimizers,
                "metadata": made.get("metadata"),
            },
        }

    def shard(self, name: str) -> edge.EdgeShard:
        if name not in self.shards:
            raise RefusedError(404, f"Not found: Collection `{name}` doesn't exist!")
        return self.shards[name]


def _vectors(given: dict[str, Any], graph: dict[str, Any]) -> edge.EdgeVectorParams:
    graph = {**graph, **(given.get("hnsw_config") or {})}
    return edge.EdgeVectorParams(
        size=given["size"],
        distance=getattr(edge.Distance, given["distance"]),
        on_disk=given.get("on_disk"),
        hnsw_config=edge.HnswIndexConfig(
            m=16 if graph.get("m") is None else int(graph["m"]),
            ef_construct=graph.get("ef_construct") or 100,
            full_scan_threshold=graph.get("full_scan_threshold") or 10,
        ),
    )


def _filter(given: dict[str, Any] | None) -> edge.Filter | None:
    if given is None:
        return None
    parts: dict[str, Any] = {
        word: [_condition(each) for each in given[word]]
        for word in ("must", "should", "must_not")
        if given.get(word) is not None
    }
    return edge.Filter(**parts)


def _condition(given: dict[str, Any]) -> Any:
    if "has_id" in given:
        return edge.HasIdCondition(set(given["has_id"]))
    if "is_null" in given:
        return edge.IsNullCondition(given["is_null"]["key"])
    if "is_empty" in given:
        return edge.IsEmptyCondition(given["is_empty"]["key"])
    if "key" not in given:
        return _filter(given)
    key, match = given["key"], given.get("match")
    if match is not None:
        values = match.get("any")
        found = edge.MatchAny(values) if values else edge.MatchValue(_as_kept(match["value"]))
        return edge.FieldCondition(key, match=found)
    said = {word: value for word, value in given["range"].items() if value is not None}
    kind = edge.RangeDateTime if isinstance(next(iter(said.values())), str) else edge.RangeFloat
    return edge.FieldCondition(key, range=kind(**said))


def _point(found: Any) -> dict[str, Any]:
    payload = {key: _as_given(value) for key, value in (found.payload or {}).items()}
    name = found.id if isinstance(found.id, int) else str(found.id)
    point = {"id": name, "payload": payload, "vector": found.vector}
    if hasattr(found, "score"):
        point |= {"version": found.version, "score": found.score}
    return point


def _as_kept(value: Any) -> Any:
    return _WORDS[value] if isinstance(value, bool) else value


def _as_given(value: Any) -> Any:
    return _TRUTHS.get(value, value) if isinstance(value, str) else value


def _wanted(given: dict[str, Any]) -> dict[str, Any]:
    return {"with_payload": given.get("with_payload"), "with_vector": given.get("with_vector")}


def _upsert(shard: edge.EdgeShard, given: dict[str, Any]) -> None:
    points = given.get("points")
    if points is None:
        batch = given["batch"]
        names = ("id", "vector", "payload")
        columns = zip(batch["ids"], batch["vectors"], batch["payloads"], strict=True)
        points = [dict(zip(names, each, strict=True)) for each in columns]
    shard.update(
        edge.UpdateOperation.upsert_points(
            [
                edge.Point(
                    each["id"],
                    each["vector"],
                    {key: _as_kept(value) for key, value in (each["payload"] or {}).items()},
                )
                for each in points
            ]
        )
    )


def _index(shard: edge.EdgeShard, given: dict[str, Any]) -> None:
    kind = given["field_schema"].title()
    schema = getattr(edge.PayloadSchemaType, "Keyword" if kind == "Bool" else kind)
    shard.update(edge.UpdateOperation.create_field_index(given["field_name"], schema))


def _delete(shard: edge.EdgeShard, given: dict[str, Any]) -> None:
    shard.update(edge.UpdateOperation.delete_points(given["points"]))


def _count(shard: edge.EdgeShard, given: dict[str, Any]) -> dict[str, int]:
    request = edge.CountRequest(exact=True, filter=_filter(given.get("filter")))
    return {"count": shard.count(request)}


def _retrieve(shard: edge.EdgeShard, given: dict[str, Any]) -> list[Any]:
    return [_point(each) for each in shard.retrieve(given["ids"], **_wanted(given))]


def _scroll(shard: edge.EdgeShard, given: dict[str, Any]) -> dict[str, Any]:
    request = edge.ScrollRequest(
        offset=given.get("offset"),
        limit=given["limit"],
        filter=_filter(given.get("filter")),
        **_wanted(given),
    )
    points, following = shard.scroll(request)
    return {"points": [*map(_point, points)], "next_page_offset": following and str(following)}


def _query(shard: edge.EdgeShard, given: dict[str, Any]) -> dict[str, Any]:
    asked, params = given["query"], given.get("params") or {}
    if isinstance(asked, dict) and asked.get("sample") == "random":
        query: Any = edge.Sample.Random
    else:
        nearest = asked["nearest"] if isinstance(asked, dict) else asked
        query = edge.Query.Nearest(nearest, given.get("using"))
    request = edge.QueryRequest(
        limit=given["limit"],
        query=query,
        filter=_filter(given.get("filter")),
        params=edge.SearchParams(hnsw_ef=params.get("hnsw_ef"), exact=bool(params.get("exact"))),
        **_wanted(given),
    )
    return {"points": [*map(_point, shard.query(request))]}


def _queries(shard: edge.EdgeShard, given: dict[str, Any]) -> list[Any]:
    return [_query(shard, each) for each in given["searches"]]


_ON_SHARDS: dict[tuple[str, str], Callable[[edge.EdgeShard, dict[str, Any]], Any]] = {
    ("PUT", "index"): _index,
    ("PUT", "points"): _upsert,
    ("POST", "points"): _retrieve,
    ("POST", "points/delete"): _delete,
    ("POST", "points/count"): _count,
    ("POST", "points/scroll"): _scroll,
    ("POST", "points/query"): _query,
    ("POST", "points/query/batch"): _queries,
}


def answer(collections: Collections, method: str, path: str, given: Any) -> Any:
    """Return the result of a request."""
    parts = path.strip("/").split("/", 2)
    if path == "/":
        return {"title": "qdrant - vector search engine", "version": VERSION}
    if parts == ["collections"]:
        return {"collections": [{"name": name} for name in collections.made]}
    name, rest = parts[1], "".join(parts[2:])
    if rest == "exists":
        return {"exists": name in collections.made}
    if not rest and method == "PUT":
        collections.make(name, given)
        return True
    if not rest and method == "DELETE":
        return collections.drop(name)
    if not rest:
        return collections.described(name)
    shard = collections.shard(name)
    found = _ON_SHARDS[method, rest](shard, given)
    return {"operation_id": 0, "status": "completed"} if found is None else found


def serve(port: int, folder: Path) -> None:
    """Serve the collections of a folder on 127.0.0.1, until the process ends."""
    collections = Collections(folder)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _handle(self) -> None:
            size = int(self.headers.get("Content-Length") or 0)
            given = json.loads(self.rfile.read(size) or b"null")
            path, status = urlsplit(self.path).path, 200
            try:
                if path != "/" and self.headers.get("api-key") != KEY:
                    raise RefusedError(401, "Must provide an API key or an Authorization token")
                result = answer(collections, self.command, path, given)
                said: dict[str, Any] = {"result": result, "status": "ok", "time": 0.0}
                said = result if path == "/" else said
            except RefusedError as error:
                status, said = error.status, {"status": {"error": str(error)}}
            except Exception as error:  # noqa: BLE001 - whatever the engine refuses
                status, said = 400, {"status": {"error": f"{type(error).__name__}: {error}"}}
            body = json.dumps(said).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_POST = do_DELETE = _handle  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    ThreadingHTTPServer(("127.0.0.1", port), Handler).serve_forever()


def _end_with_the_session() -> None:
    """End when the standard input does: when the session closes it, or dies."""
    sys.stdin.read()
    os._exit(0)


if __name__ == "__main__":
    threading.Thread(target=_end_with_the_session, daemon=True).start()
    serve(int(sys.argv[1]), Path(sys.argv[2]))
