"""The suite on a store that admits few connections, as servers do."""

from __future__ import annotations

import threading
from functools import partial
from pathlib import Path
from typing import ClassVar

import pytest

import vecbridge
from tests.unit.conformance.conftest import BACKEND
from tests.unit.conformance.test_mutants import fails, own_tests
from vecbridge import ConnectionFailedError, IndexInfo
from vecbridge_conformance import Deployment, Harness
from vecbridge_conformance.mutants import MutantSettings, ReferenceBackend, ReferenceIndex

MOST = 16


class Server:
    """Counts who is connected, and refuses one too many.

    Attributes:
        peak: the most at a time.
    """

    def __init__(self) -> None:
        self._held: set[int] = set()
        self._alone = threading.Lock()
        self.peak = 0

    def connect(self, client: object) -> None:
        with self._alone:
            self._held.add(id(client))
            self.peak = max(self.peak, len(self._held))
            if len(self._held) > MOST:
                self._held.discard(id(client))
                raise ConnectionFailedError(
                    f"sorry, too many clients already: {MOST}",
                    backend="counted",
                    operation="connect",
                )

    def disconnect(self, client: object) -> None:
        with self._alone:
            self._held.discard(id(client))

    @property
    def connected(self) -> int:
        return len(self._held)


class CountedIndex(ReferenceIndex):
    """Holds a connection until it is closed."""

    server: Server

    def close(self) -> None:
        super().close()
        self.server.disconnect(self)


class CountedBackend(ReferenceBackend):
    """Takes one connection per store, from its first use on, and one per index."""

    server: ClassVar[Server]

    def check_open(self, operation: str) -> None:
        super().check_open(operation)
        self.server.connect(self)

    def opened(self, info: IndexInfo) -> ReferenceIndex:
        index = super().opened(info)
        assert isinstance(index, CountedIndex)
        index.server = self.server
        self.server.connect(index)
        return index

    def close(self) -> None:
        super().close()
        self.server.disconnect(self)

    index_type = CountedIndex


def counted(server: Server, path: Path) -> vecbridge.Store:
    kind = type("CountedBackend", (CountedBackend,), {"server": server})
    return vecbridge.Store(kind(MutantSettings(path=path)))


@pytest.mark.slow
@pytest.mark.parametrize("layers", [("smoke", "semantics"), ("stateful",)])
def test_sixteen_connections_do_for_every_test(tmp_path: Path, layers: tuple[str, ...]) -> None:
    server = Server()
    opener = partial(counted, server, tmp_path / "store")
    with Harness(Deployment(BACKEND, {}, "counted", None, opener)) as harness:
        found = {case.id: fails(case, harness) for case in own_tests(*layers)}
        assert server.connected <= 2, "an example's connections outlive it"
    assert not {text for text in found.values() if text and "too many" in text}
    assert server.peak <= MOST
    assert server.connected == 0


def test_an_index_that_is_opened_again_and_again_takes_one_connection(tmp_path: Path) -> None:
    server = Server()
    opener = partial(counted, server, tmp_path / "store")
    with Harness(Deployment(BACKEND, {}, "counted", None, opener)) as harness:
        index = harness.index(dimension=2)
        for _ in range(3 * MOST):
            index = harness.reopen(index)
        assert server.connected <= 3
        harness.release(index)
        assert server.connected <= 2
        for _ in range(MOST // 4):
            harness.store.open_index(harness.index(dimension=2).info.name)
        harness.end_test()
        assert server.connected <= 1
