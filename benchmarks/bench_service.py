"""A web service under many requests at once: answers, the pause of its loop, and time per request.

The service is Starlette's, called in its own loop as a server of ASGI calls it. Every answer is
compared with that of the plain store. Milvus is Lite, with its engine in this process and in
another one, and a server of this benchmark's own. In the end, no thread of a store and no process
that was started may be left.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from _measure import Row, arguments, in_turn, report
from bench_milvus import server

from tests.heartbeat import LONGEST_S, LONGEST_SHARE, pause_and_time
from vecbridge import AsyncIndex, AsyncStore, get_backend

REQUESTS = 200
ROUNDS = 3
K = 10
RUNS = 150
MOST_MORE_MS = 1.0
SERVES = """
import sys
import vecbridge

with vecbridge.get_backend("milvus", uri=sys.argv[1]) as store:
    print(store.index_names(), flush=True)
    sys.stdin.read()
"""


def service(index: AsyncIndex) -> Any:
    """Return an application that answers ``POST /search`` with ids, distances and labels."""
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route

    async def search(request: Request) -> JSONResponse:
        (hits,) = await index.search(await request.json(), k=K, fields=["label"])
        return JSONResponse([[hit.id, hit.distance, hit.fields["label"]] for hit in hits])

    return Starlette(routes=[Route("/search", search, methods=["POST"])])


async def posted(application: Any, body: bytes) -> Any:
    """Send one request as a server of ASGI does; return the answer's JSON."""
    parts: list[bytes] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: dict[str, Any]) -> None:
        parts.append(message.get("body", b""))

    scope = {"type": "http", "method": "POST", "path": "/search", "query_string": b""}
    await application({**scope, "headers": []}, receive, send)
    return json.loads(b"".join(parts))


async def asked(application: Any, bodies: list[bytes], expected: list[Any]) -> list[float]:
    """Send all requests at once; return the seconds of each."""
    taken = []

    async def ask(body: bytes) -> Any:
        started = time.perf_counter()
        answer = await posted(application, body)
        taken.append(time.perf_counter() - started)
        return answer

    answers = await asyncio.gather(*map(ask, bodies))
    assert answers == expected, "an answer of the service is not that of the store"
    return taken


async def measured(name: str, settings: dict[str, Any], readers: int, size: Any) -> list[Row]:
    """Return the rows of one deployment."""
    count, dimension = size
    vectors = np.random.default_rng(0).standard_normal((count, dimension), dtype=np.float32)
    names = [f"record-{number}" for number in range(count)]
    queries = vectors[:REQUESTS] + np.float32(0.01)
    async with AsyncStore(get_backend(**settings), readers=readers) as store:
        index = await store.create_index(
            "service", dimension=dimension, metric="cosine", fields={"label": "string"}
        )
        await index.upsert(names, vectors, {"label": names})
        plain = await index.search(queries, k=K, fields=["label"])
        expected = [[[hit.id, hit.distance, hit.fields["label"]] for hit in hits] for hits in plain]
        bodies = [json.dumps(query).encode() for query in queries.tolist()]
        application, taken = service(index), []
        pauses: list[tuple[float, float]] = []
        for _ in range(ROUNDS):

            async def work() -> None:
                taken.extend(await asked(application, bodies, expected))

            pauses.append(await pause_and_time(work))
        await store.drop_index("service")
    ours = [1e3 * each for each in sorted(taken)]
    pause, took = sorted(pauses)[len(pauses) // 2]
    allowed = 1e3 * max(LONGEST_S, LONGEST_SHARE * took)
    return [
        Row(
            f"{name}: longest pause of the loop", 1e3 * pause, allowed, "what is allowed", "ms", 1.0
        ),
        Row(f"{name}: p50 of {REQUESTS} requests at once", statistics.median(ours), None, ""),
        Row(f"{name}: p99", ours[int(0.99 * len(ours))], None, ""),
    ]


def awaited() -> list[Row]:
    """Return how much longer an awaited search takes than the plain one."""
    loop = asyncio.new_event_loop()
    vectors = np.random.default_rng(0).standard_normal((1000, 64), dtype=np.float32)
    with get_backend("sklearn") as plain:
        store = AsyncStore(plain)
        index = plain.create_index("bench", dimension=64, metric="cosine")
        index.upsert([str(number) for number in range(1000)], vectors)
        both = AsyncIndex(index, store)
        taken = in_turn(
            [
                lambda: loop.run_until_complete(both.search(vectors[0], k=K)),
                lambda: index.search(vectors[0], k=K),
            ],
            RUNS,
        )
        loop.run_until_complete(store.close())
    loop.close()
    more = 1e3 * (statistics.median(taken[0]) - statistics.median(taken[1]))
    what = "an awaited search, more than the plain one"
    return [Row(what, more, MOST_MORE_MS, "what is allowed", "ms", 1.0, RUNS)]


@contextmanager
def opened_elsewhere(path: str) -> Iterator[None]:
    """Have another process run the engine of Milvus Lite."""
    process = subprocess.Popen(
        [sys.executable, "-c", SERVES, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdin is not None
        process.stdout.readline()
        yield
        process.stdin.close()


def left_over() -> list[str]:
    """Names of threads of a store, and of processes, that outlive it."""
    import psutil

    threads = [each.name for each in threading.enumerate() if "vecbridge" in each.name]
    return [*threads, *(str(each) for each in psutil.Process().children(recursive=True))]


def main() -> None:
    """Measures every deployment and prints the table."""
    parser = arguments(__doc__ or "")
    parser.set_defaults(count=20_000, dimension=128)
    options = parser.parse_args()
    size = options.count, options.dimension
    rows = awaited()
    rows += asyncio.run(measured("sklearn", {"name": "sklearn"}, 4, size))
    with tempfile.TemporaryDirectory(prefix="vecbridge-") as folder:
        lite = {"name": "milvus", "uri": str(Path(folder) / "here.db")}
        rows += asyncio.run(measured("Lite in this process", lite, 4, size))
        lite = {"name": "milvus", "uri": str(Path(folder) / "elsewhere.db")}
        with opened_elsewhere(lite["uri"]):
            rows += asyncio.run(measured("Lite in another process", lite, 8, size))
    with server() as uri:
        rows += asyncio.run(measured("Milvus 2.3.5", {"name": "milvus", "uri": uri}, 16, size))
    print("left over:", left_over() or "no thread and no process")
    rows.append(Row("threads and processes left", float(len(left_over())), None, "", "of them"))
    title = f"{REQUESTS} requests at once, {size[0]:,} x {size[1]}, k={K}, every answer compared"
    report(title, rows, options.json)


if __name__ == "__main__":
    main()
