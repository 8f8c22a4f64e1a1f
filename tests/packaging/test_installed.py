"""The wheel, installed in an environment of its own, away from the repository."""

from __future__ import annotations

from tests.packaging.conftest import ROOT, Installation

ROUND_TRIP = """
import sys
import vecbridge

with vecbridge.get_backend("sklearn", path="records") as store:
    index = store.create_index("points", dimension=2, metric="euclidean")
    index.upsert(["origin", "near", "far"], [[0, 0], [3, 4], [30, 40]])

with vecbridge.get_backend("sklearn", path="records") as store:
    hits = store.open_index("points").search([0, 0], k=2)[0]
    print(hits.ids, hits.distances.tolist(), hits.exact)

print(vecbridge.__file__)
"""

WITHOUT_MILVUS = """
import vecbridge

try:
    vecbridge.get_backend("milvus", uri="http://127.0.0.1:1").index_names()
except vecbridge.MissingDependencyError as error:
    print(error)
"""


def test_records_survive_and_are_found(installation: Installation) -> None:
    done = installation.run("-c", ROUND_TRIP)

    assert done.returncode == 0, done.stderr
    answer, origin = done.stdout.splitlines()
    assert answer == "('origin', 'near') [0.0, 5.0] True"
    assert origin.startswith(str(installation.folder))
    assert not origin.startswith(str(ROOT))


def test_a_backend_without_its_package_says_which_extra_to_install(
    installation: Installation,
) -> None:
    done = installation.run("-c", WITHOUT_MILVUS)

    assert done.returncode == 0, done.stderr
    assert "pymilvus" in done.stdout
    assert "vecbridge[milvus]" in done.stdout


def test_every_backend_is_found_there(installation: Installation) -> None:
    done = installation.run("-c", "import vecbridge; print(vecbridge.backend_names())")

    names = [
        "chroma",
        "faiss",
        "lancedb",
        "milvus",
        "pgvector",
        "qdrant",
        "redis",
        "sklearn",
        "torch",
    ]
    assert done.stdout == f"{names}\n"
