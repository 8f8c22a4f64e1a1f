"""The suite cuts a real Milvus server off, and kills it: what was acknowledged is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import pytest

from tests.servers.milvus import MilvusServer, running_milvus
from vecbridge_conformance import Case, Deployment, Harness, cases

MISTREATED = [
    case
    for case in cases("faults")
    if case.function.__module__.endswith(("faults_wire", "faults_killed"))
]


@dataclass
class Life:
    """How the suite ends and begins the server."""

    server: MilvusServer

    def kill(self) -> None:
        self.server.kill()

    def restart(self) -> None:
        self.server.start()


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Harness]:
    if find_spec("milvus") is None:
        pytest.skip("the wheel milvus==2.3.5 is not installed: there is none for this machine")
    with running_milvus(tmp_path_factory.mktemp("milvus")) as server:
        used = Harness(Deployment("milvus", {"uri": server.uri}, "server", Life(server)))
        yield used
        used.close()


@pytest.mark.parametrize("case", MISTREATED, ids=lambda case: case.id)
def test_nothing_acknowledged_is_lost(case: Case, harness: Harness) -> None:
    case.run(harness)
