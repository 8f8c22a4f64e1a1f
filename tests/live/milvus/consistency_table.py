"""How often the first read after a write misses it, at every level, here and in another process.

``python -m tests.live.milvus.consistency_table URI [TRIES]`` prints the table.
"""

from __future__ import annotations

import multiprocessing
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, cast

import numpy as np

import vecbridge
from vecbridge import Consistency, Index
from vecbridge_milvus import MilvusIndex

Write = Literal["insert", "upsert", "delete"]
Reader = Literal["this process", "another process", "another, joined"]

WRITES: tuple[Write, ...] = ("insert", "upsert", "delete")
LEVELS: tuple[Consistency, ...] = ("strong", "session", "bounded", "eventual")
DIMENSION = 4


def engine_of(index: Index) -> MilvusIndex:
    """The backend's own index."""
    return cast("MilvusIndex", index.engine)


def missed(index: Index, write: Write, number: int, level: Consistency) -> bool:
    """Return whether a read does not see the write of a number; one in two reads is a search."""
    name, wanted = f"{write}-{number}", position(number, new=True)
    if number % 2:
        near = index.search(wanted, 1, consistency=level)[0]
        seen = near.ids == (name,) and near.distances[0] == 0.0
    else:
        found = index.fetch([name], consistency=level)
        seen = found.ids == (name,) and np.array_equal(found.vectors[0], wanted)
    return seen if write == "delete" else not seen


def position(number: int, *, new: bool) -> Any:
    """A vector that no other record has."""
    return np.full(DIMENSION, 1000 * number + (500 if new else 0) + 1, np.float32)


class OtherProcess:
    """A process with a store of its own, that reads when it is told to."""

    def __init__(self, uri: str, name: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(uri, name, theirs))
        self._process.start()
        assert self._pipe.recv() == "ready"

    def missed(self, write: Write, number: int, level: Consistency, token: str | None) -> bool:
        """As :func:`missed`, there; joins a session first where a token is given."""
        self._pipe.send((write, number, level, token))
        return bool(self._pipe.recv())

    def close(self) -> None:
        """Ends the process."""
        self._pipe.send(None)
        self._process.join(30)


def _serve(uri: str, name: str, pipe: Any) -> None:
    with vecbridge.get_backend("milvus", uri=uri) as store:
        index = store.open_index(name)
        pipe.send("ready")
        while (asked := pipe.recv()) is not None:
            write, number, level, token = asked
            if token is not None:
                engine_of(index).join_session(token)
            pipe.send(missed(index, write, number, level))


@contextmanager
def probed(uri: str) -> Iterator[Any]:
    """A function ``(write, level, reader, tries)`` that says how many first reads missed."""
    with vecbridge.get_backend("milvus", uri=uri) as store:
        name = f"c_{uuid.uuid4().hex}"
        index = store.create_index(name, dimension=DIMENSION, metric="euclidean")
        other = OtherProcess(uri, name)

        def probe(write: Write, level: Consistency, reader: Reader, tries: int) -> int:
            _prepare(index, write, tries)
            count = 0
            for number in range(tries):
                _do(index, write, number)
                if reader == "this process":
                    count += missed(index, write, number, level)
                else:
                    joined = reader == "another, joined"
                    token = engine_of(index).session_token() if joined else None
                    count += other.missed(write, number, level, token)
            return count

        try:
            yield probe
        finally:
            other.close()
            store.drop_index(name)


def _prepare(index: Index, write: Write, tries: int) -> None:
    for records in index.scan(consistency="strong"):
        index.delete(records.ids)
    if write != "insert":
        names = [f"{write}-{number}" for number in range(tries)]
        new = write == "delete"
        index.upsert(names, np.stack([position(number, new=new) for number in range(tries)]))
    assert index.count(consistency="strong") == (0 if write == "insert" else tries)


def _do(index: Index, write: Write, number: int) -> None:
    if write == "delete":
        index.delete([f"delete-{number}"])
    else:
        index.upsert([f"{write}-{number}"], position(number, new=True)[np.newaxis])


def main(uri: str, tries: int) -> None:
    """Prints the table."""
    print(f"first reads that missed the write, of {tries} each\n")
    print(f"{'level':10}{'reader':18}" + "".join(f"{write:>8}" for write in WRITES))
    with probed(uri) as probe:
        for level in LEVELS:
            readers: list[Reader] = ["this process", "another process"]
            for reader in [*readers, *(["another, joined"] if level == "session" else [])]:
                counts = [probe(write, level, reader, tries) for write in WRITES]
                print(f"{level:10}{reader:18}" + "".join(f"{count:>8}" for count in counts))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 30)
