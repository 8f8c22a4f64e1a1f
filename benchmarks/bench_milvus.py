"""The Milvus backend against pymilvus by hand, and against FiftyOne's own adapter.

Starts a server of its own. By hand means: rows of dicts with float32 arrays, batches of 5000, the
same index, the same consistency level, the ids and distances of as many hits. FiftyOne is measured
where ``FIFTYONE_DATABASE_URI`` names a MongoDB that may be written to.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import numpy as np
from _measure import Row, Work, arguments, medians, memory, report, seconds

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.servers.milvus import MilvusServer
from vecbridge import Index, Store, get_backend

HERE = Path(__file__).parent
SIZES = ((20_000, 512), (200_000, 128))
INGEST_LIMIT, ADAPTER_LIMIT = 1.15, 0.5
NATIVE_LIMIT, EXACT_LIMIT, BATCH_LIMIT, VIEW_LIMIT = 1.1, 1.5, 1.3, 3.0
SCAN_LIMIT = 1.5
SCANNED = (20_000, 200_000)
GIVING_BACK = {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
"""What makes glibc give back at once what was freed. As it is, it keeps more with every page at
first, whatever its caller holds."""
K = 10
SETTLED_WITHIN_S = 90.0
BATCH = 5000
ROUNDS = 3


def data(count: int, dimension: int) -> tuple[list[str], Any]:
    """Ids as FiftyOne's are, and Gaussian vectors."""
    vectors = np.random.default_rng(0).standard_normal((count, dimension), dtype=np.float32)
    return [f"{number:024x}" for number in range(count)], vectors


class ByHand:
    """What an expert would write with pymilvus alone."""

    def __init__(self, uri: str, name: str) -> None:
        import pymilvus

        self._name = name
        self._types = pymilvus.DataType
        self._client = pymilvus.MilvusClient(uri)

    def create(self, dimension: int) -> None:
        """Return a flat index under cosine."""
        schema = self._client.create_schema(auto_id=False, enable_dynamic_field=False)
        schema.add_field("pk", self._types.VARCHAR, is_primary=True, max_length=512)
        schema.add_field("vector", self._types.FLOAT_VECTOR, dim=dimension)
        schema.add_field("sample_id", self._types.VARCHAR, max_length=512)
        indexes = self._client.prepare_index_params()
        indexes.add_index("vector", index_type="FLAT", metric_type="COSINE")
        self._client.create_collection(self._name, schema=schema, consistency_level="Session")
        # Nothing that is written has to wait for these.
        self._client.create_index(self._name, indexes, sync=False)
        self._client.load_collection(self._name, _async=True)

    def upsert(self, ids: list[str], vectors: Any) -> None:
        """Batches of rows; upserts, since only those can be sent again after a failure."""
        for start in range(0, len(ids), BATCH):
            part = slice(start, start + BATCH)
            rows = [
                {"pk": name, "vector": vector, "sample_id": name}
                for name, vector in zip(ids[part], vectors[part], strict=True)
            ]
            self._client.upsert(self._name, rows)

    def search(
        self, queries: Any, collection: str, output: list[str] | None = None
    ) -> list[list[tuple[str, float]]]:
        """Ids and distances of the nearest; other fields may come along, and are not looked at."""
        found = self._client.search(
            collection,
            data=list(queries),
            limit=K,
            consistency_level="Session",
            output_fields=output,
        )
        return [
            [(hit["pk"] if "pk" in hit else hit["id"], hit["distance"]) for hit in hits]
            for hits in found
        ]

    def drop(self) -> None:
        """Remove the collection."""
        self._client.drop_collection(self._name)


@contextmanager
def server() -> Iterator[str]:
    """Yield a server of this benchmark's own."""
    with tempfile.TemporaryDirectory() as folder:
        # A busy machine must not take the server for dead.
        running = MilvusServer(Path(folder), {"common": {"session": {"ttl": 60}}})
        running.start()
        try:
            yield running.uri
        finally:
            running.stop()


def settle(uri: str, collections: dict[str, int]) -> None:
    """Return when all rows of each collection are in sealed segments.

    A server searches what is not sealed yet several times slower.
    """
    from pymilvus import MilvusClient
    from pymilvus.client.types import SegmentState

    client = MilvusClient(uri)
    for name in collections:
        client.flush(name)
    end = time.monotonic() + SETTLED_WITHIN_S
    waiting = dict(collections)
    while waiting:
        name, count = next(iter(waiting.items()))
        loaded = client.list_loaded_segments(name)
        if sum(part.num_rows for part in loaded if part.state == SegmentState.Sealed) == count:
            del waiting[name]
        elif time.monotonic() > end:
            raise TimeoutError(f"{name}: not sealed after {SETTLED_WITHIN_S:g} s: {loaded}")
        else:
            time.sleep(0.5)
    client.close()


def searching(uri: str, store: Store, count: int, dimension: int) -> list[Row]:
    """Ingest and searches of one size, those of one collection.

    A server seals each collection when it likes, at another row, and searches two halves faster
    than one whole: what is compared must not differ in that.
    """
    ids, vectors = data(count, dimension)
    rng = np.random.default_rng(1)
    queries = rng.standard_normal((100, dimension), dtype=np.float32)
    half = [ids[row] for row in rng.choice(count, count // 2, replace=False)]
    hand = ByHand(uri, "by_hand")
    hand.create(dimension)
    index = store.create_index("ours", dimension=dimension, fields={"sample_id": "string"})
    size = f"{count // 1000}k x {dimension}"
    theirs = seconds(lambda: hand.upsert(ids, vectors))
    ours = seconds(lambda: index.upsert(ids, vectors, {"sample_id": ids}))
    rows = [Row(f"{size}: ingest", ours, theirs, "pymilvus upsert", "s", INGEST_LIMIT)]
    hand.drop()
    settle(uri, {"ours": count})
    index.count(consistency="strong")
    rows += _searches(size, index, hand, queries, half)
    store.drop_index("ours")
    return rows


def _searches(size: str, index: Index, hand: ByHand, queries: Any, half: list[str]) -> list[Row]:
    def ours(batch: Any, mode: Literal["exact", "native"]) -> Work:
        return lambda: index.search(batch, K, ranking=mode)

    def theirs(batch: Any, output: list[str] | None = None) -> Work:
        return lambda: hand.search(batch, "ours", output)

    rows = []
    for work, batch, runs, native_limit, exact_limit in (
        ("100 queries", queries, 7, BATCH_LIMIT, BATCH_LIMIT),
        ("one query", queries[:1], 41, NATIVE_LIMIT, EXACT_LIMIT),
    ):
        native, exact = ours(batch, "native"), ours(batch, "exact")
        bare, whole = theirs(batch), theirs(batch, ["vector"])
        named = f"{size}: {work}"
        rows += [
            _ratio(f"{named}, native", medians(native, bare, runs), "pymilvus", native_limit),
            _ratio(f"{named}, exact", medians(exact, bare, runs), "pymilvus", exact_limit),
            _ratio(f"{named}, exact", medians(exact, whole, runs), "pymilvus, with the vectors"),
        ]
    one = queries[:1]
    listed = medians(lambda: index.search(one, K, within=half), ours(one, "exact"), 15)
    view = f"{size}: one query in half of all"
    return [*rows, _ratio(view, listed, "ours without the view", VIEW_LIMIT)]


def _ratio(work: str, times: tuple[float, float], peer: str, limit: float | None = None) -> Row:
    return Row(work, 1e3 * times[0], 1e3 * times[1], peer, limit=limit)


def scanning(uri: str) -> list[Row]:
    """Memory that a full scan adds, at ten times as many records; in processes of their own."""
    held: list[float] = []
    kept: list[float] = []
    for count in SCANNED:
        with get_backend("milvus", uri=uri) as store:
            store.create_index("scanned", dimension=128).upsert(*data(count, 128))
            held.append(_scan_of_another_process(uri, count, GIVING_BACK))
            kept.append(_scan_of_another_process(uri, count, {}))
            store.drop_index("scanned")
    work = f"scan of {SCANNED[1]} against {SCANNED[0]}"
    return [
        Row(f"{work}: held", held[1], held[0], "the smaller one", "MB", SCAN_LIMIT),
        Row(f"{work}: held or kept by glibc", kept[1], kept[0], "the smaller one", "MB"),
    ]


def _scan_of_another_process(uri: str, count: int, environment: dict[str, str]) -> float:
    command = [sys.executable, __file__, "--scan", uri, "--count", str(count)]
    around = {**os.environ, **environment}
    done = subprocess.run(command, env=around, capture_output=True, text=True, check=True)
    return float(done.stdout)


def _scan_of_this_process(uri: str, count: int) -> float:
    """MB by which a scan raises memory, after a small read has loaded all code."""
    with get_backend("milvus", uri=uri) as store:
        index = store.open_index("scanned")
        index.fetch([f"{0:024x}"])
        before, seen = memory("VmRSS"), 0
        for records in index.scan(consistency="strong"):
            seen += len(records)
    if seen != count:
        raise RuntimeError(f"the scan saw {seen} of {count} records")
    return memory("VmHWM") - before


def through_fiftyone(uri: str, count: int, dimension: int) -> list[Row]:
    """Ingest through FiftyOne: ours, its own adapter's, and by hand. All create the collection."""
    if not os.environ.get("FIFTYONE_DATABASE_URI"):
        return []
    ids, vectors = data(count, dimension)
    hand = ByHand(uri, "by_hand")
    taken: dict[str, list[float]] = {"ours": [], "theirs": [], "hand": []}

    def by_hand() -> None:
        hand.create(dimension)
        hand.upsert(ids, vectors)

    for _ in range(ROUNDS):
        taken["hand"].append(seconds(by_hand))
        hand.drop()
        for which in ("ours", "theirs"):
            taken[which].append(_fiftyone_seconds(which, uri, count, dimension))
    ours, theirs, raw = (min(taken[which]) for which in ("ours", "theirs", "hand"))
    size = f"{count // 1000}k x {dimension}"
    work = f"{size}: ingest through FiftyOne"
    return [
        Row(work, ours, raw, "pymilvus upsert", "s", INGEST_LIMIT),
        Row(work, ours, theirs, "FiftyOne's own adapter", "s", ADAPTER_LIMIT),
    ]


def _fiftyone_seconds(which: str, uri: str, count: int, dimension: int) -> float:
    with tempfile.TemporaryDirectory() as home:
        environment = {
            **os.environ,
            "HOME": home,
            "FIFTYONE_DO_NOT_TRACK": "1",
            "FIFTYONE_DATABASE_VALIDATION": "false",
        }
        command = [sys.executable, str(HERE / "_fiftyone_milvus.py"), which, uri]
        done = subprocess.run(
            [*command, str(count), str(dimension)],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if done.returncode:
        raise RuntimeError(f"FiftyOne could not be measured:\n{done.stderr}")
    seconds_taken: float = json.loads(done.stdout.splitlines()[-1])
    return seconds_taken


def main() -> None:
    """Measures everything and prints the table."""
    parser = arguments(__doc__ or "")
    parser.add_argument("--scan", help="internal: scan at this address, in this process")
    parser.add_argument("--only", choices=["search", "scan", "fiftyone"], help="one part alone")
    parser.add_argument("--uri", help="a running server, instead of one of the benchmark's own")
    options = parser.parse_args()
    if options.scan:
        print(_scan_of_this_process(options.scan, options.count))
        return
    rows: list[Row] = []
    with _given(options.uri) if options.uri else server() as uri:
        if options.only in {None, "fiftyone"}:
            rows += through_fiftyone(uri, *SIZES[0])
        if options.only in {None, "search"}:
            with get_backend("milvus", uri=uri) as store:
                for size in SIZES:
                    rows += searching(uri, store, *size)
        if options.only in {None, "scan"}:
            rows += scanning(uri)
    report("Milvus 2.3.5 server, FLAT, cosine, k=10, session reads", rows, options.json)


@contextmanager
def _given(uri: str) -> Iterator[str]:
    yield uri


if __name__ == "__main__":
    main()
