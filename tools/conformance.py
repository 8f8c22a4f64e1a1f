"""Run the whole suite on every deployment that is shipped, and write the published matrix.

    python -m tools.conformance                  # all of them, each in a process of its own
    python -m tools.conformance sklearn-memory   # only this column; the others stay as they are

The reports are kept as JSON in ``docs/reference/conformance``; the page and the HTML are made from
all that are there.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from vecbridge_conformance import Deployment

ROOT = Path(__file__).parents[1]
REPORTS = ROOT / "docs" / "reference" / "conformance"
PAGE = ROOT / "docs" / "reference" / "conformance-matrix.md"
_WHENCE = (
    "`make conformance` runs the whole suite on every deployment and writes this page; it is also "
    "[one page of HTML](conformance-matrix.html), with the text of every clause."
)


@contextmanager
def local(backend: str, label: str, **options: object) -> Iterator[Deployment]:
    """Yield a deployment without a server; remove its files, if any, at the end."""
    with tempfile.TemporaryDirectory(prefix="vecbridge-") as folder:
        given = {key: str(value).format(folder=folder) for key, value in options.items()}
        yield Deployment(backend, given, label)


@dataclass
class Life:
    """Ends and begins a server for the suite."""

    kill: Callable[[], None]
    restart: Callable[[], None]


@contextmanager
def milvus_server() -> Iterator[Deployment]:
    """Yield a standalone Milvus, which the suite may kill."""
    from tests.servers.milvus import running_milvus

    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with temporary as folder, running_milvus(Path(folder)) as server:
        life = Life(server.kill, server.start)
        yield Deployment("milvus", {"uri": server.uri}, "milvus-server", life)


@contextmanager
def milvus_cluster() -> Iterator[Deployment]:
    """Yield a Milvus of one process per role, two of which search."""
    from tests.servers.milvus_cluster import running_cluster

    temporary = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
    with temporary as folder, running_cluster(Path(folder)) as cluster:
        yield Deployment("milvus", {"uri": cluster.uri, "shards": 2}, "milvus-cluster")


@contextmanager
def milvus_given() -> Iterator[Deployment]:
    """Yield the Milvus that ``VECBRIDGE_TEST_MILVUS_URI`` names, in a database of its own."""
    from tests.servers.given_milvus import given_database

    with given_database() as uri:
        yield Deployment("milvus", {"uri": uri}, "milvus-given")


@contextmanager
def pgvector(label: str, **options: object) -> Iterator[Deployment]:
    """Yield a PostgreSQL with pgvector, which the suite may kill."""
    from tests.servers.postgres import running_postgres

    with running_postgres() as server:
        life = Life(server.kill, server.start)
        yield Deployment("pgvector", {"uri": server.uri, **options}, label, life)


@contextmanager
def redis(label: str, **options: object) -> Iterator[Deployment]:
    """Yield a Redis with search, which the suite may kill."""
    from tests.servers.redis import running_redis

    with running_redis() as server:
        life = Life(server.kill, server.start)
        yield Deployment(
            "redis", {"host": "127.0.0.1", "port": server.port, **options}, label, life
        )


@contextmanager
def chroma_server() -> Iterator[Deployment]:
    """Yield a server of Chroma, which the suite may kill."""
    from tests.servers.chroma import running_chroma

    with running_chroma() as server:
        yield Deployment(
            "chroma", {"uri": server.uri}, "chroma-server", Life(server.kill, server.start)
        )


@contextmanager
def qdrant_edge(label: str, **options: object) -> Iterator[Deployment]:
    """Yield Qdrant's own segments behind a server of the tests, which the suite may kill."""
    from tests.servers.qdrant import running_edge

    with running_edge() as server:
        given = {**server.options, **options}
        yield Deployment("qdrant", given, label, Life(server.kill, server.start))


@contextmanager
def qdrant_given() -> Iterator[Deployment]:
    """Yield the Qdrant that ``VECBRIDGE_TEST_QDRANT_URL`` names, which has to be empty."""
    from tests.servers.qdrant import given_qdrant

    with given_qdrant() as options:
        yield Deployment("qdrant", options, "qdrant-given")


@contextmanager
def lancedb_bucket() -> Iterator[Deployment]:
    """Yield tables of LanceDB in an object store."""
    from tests.servers.bucket import NAME, running_bucket

    with running_bucket() as options:
        given = {"uri": f"s3://{NAME}/tables", "storage_options": options}
        yield Deployment("lancedb", given, "lancedb-s3")


COLUMNS: dict[str, Callable[[], AbstractContextManager[Deployment]]] = {
    "sklearn-memory": lambda: local("sklearn", "sklearn-memory"),
    "sklearn-disk": lambda: local("sklearn", "sklearn-disk", path="{folder}/records"),
    "faiss-flat": lambda: local("faiss", "faiss-flat", path="{folder}/records"),
    "faiss-hnsw": lambda: local("faiss", "faiss-hnsw", path="{folder}/records", index="hnsw"),
    "torch": lambda: local("torch", "torch", path="{folder}/records"),
    "milvus-lite": lambda: local("milvus", "milvus-lite", uri="{folder}/vectors.db"),
    "milvus-server": milvus_server,
    "milvus-cluster": milvus_cluster,
    "pgvector": lambda: pgvector("pgvector"),
    "pgvector-hnsw": lambda: pgvector("pgvector-hnsw", index_type="hnsw"),
    "pgvector-ivfflat": lambda: pgvector("pgvector-ivfflat", index_type="ivfflat"),
    "redis": lambda: redis("redis"),
    "redis-hnsw": lambda: redis("redis-hnsw", algorithm="hnsw"),
    "chroma": lambda: local("chroma", "chroma", path="{folder}/records"),
    "chroma-server": chroma_server,
    "lancedb": lambda: local("lancedb", "lancedb", uri="{folder}/tables"),
    "lancedb-ivf": lambda: local(
        "lancedb", "lancedb-ivf", uri="{folder}/tables", index_type="ivf_flat"
    ),
    "lancedb-s3": lancedb_bucket,
    "qdrant-embedded": lambda: local("qdrant", "qdrant-embedded", path="{folder}/collections"),
    "qdrant-edge": lambda: qdrant_edge("qdrant-edge"),
    "qdrant-edge-hnsw": lambda: qdrant_edge("qdrant-edge-hnsw", index_type="hnsw"),
    "milvus-given": milvus_given,
    "qdrant-given": qdrant_given,
}
"""Every deployment that is shipped, in the order of the columns."""
GIVEN = frozenset({"milvus-given", "qdrant-given"})
"""Run when they are asked for; their reports go where ``--report`` says, not into the pages."""
NEEDED = {"milvus-cluster": "etcd", "lancedb-s3": "moto_server"}
"""Programs without which a column is not run again; the matrix shows what was found last."""


def run_inside(label: str, layers: list[str], report: Path, pace: float | None) -> int:
    """Run the suite on one deployment in this process."""
    from vecbridge_conformance import Effort, run_suite

    with COLUMNS[label]() as deployment:
        effort = Effort(pace_s=pace)
        return run_suite(deployment, layers=layers, report=report, effort=effort)


def write_pages() -> None:
    """Write the page and the HTML from the reports that are kept."""
    from vecbridge_conformance.reports import html_matrix, markdown_matrix, read_report

    kept = [REPORTS / f"{label}.json" for label in COLUMNS]
    reports = [read_report(path) for path in kept if path.exists()]
    (REPORTS / "matrix.md").unlink(missing_ok=True)
    (REPORTS / "matrix.html").unlink(missing_ok=True)
    page = markdown_matrix(reports, "../contract.md").replace("\n\n", f"\n\n{_WHENCE}\n\n", 1)
    PAGE.write_text(page, encoding="utf-8")
    PAGE.with_suffix(".html").write_text(html_matrix(reports), encoding="utf-8")
    print(f"{PAGE.relative_to(ROOT)}: {', '.join(report['label'] for report in reports)}")


def can_run(label: str) -> bool:
    """Return whether what a deployment needs is installed; say so where it is not."""
    program = NEEDED.get(label)
    if program is None or shutil.which(program) is not None:
        return True
    print(f"{label} is left as it is: {program} is not installed")
    return False


def main() -> int:
    """Run what was asked for; the exit status says whether everything conforms."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("labels", nargs="*", metavar="LABEL", help=", ".join(COLUMNS))
    parser.add_argument("--layer", default="", help="only these layers; nothing is published then")
    parser.add_argument("--report", type=Path, default=REPORTS, help="where the JSON goes")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--pace", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if unknown := sorted(set(given.labels) - set(COLUMNS)):
        parser.error(f"no deployment {', '.join(unknown)}; there are {', '.join(COLUMNS)}")
    if given.inside:
        layers = [word for word in given.layer.split(",") if word]
        return run_inside(given.labels[0], layers, given.report, given.pace)
    if (asked := GIVEN.intersection(given.labels)) and given.report == REPORTS:
        parser.error(
            f"{', '.join(asked)} is no deployment that is shipped: say where its --report goes"
        )
    if given.layer and given.report == REPORTS:
        given.report = Path(tempfile.mkdtemp(prefix="conformance-"))
    labels = given.labels or [label for label in COLUMNS if label not in GIVEN and can_run(label)]
    options = ["--layer", given.layer, "--report", str(given.report), "--inside"]
    failed = [
        label
        for label in labels
        if subprocess.run(
            [sys.executable, "-m", "tools.conformance", label, *options], cwd=ROOT, check=False
        ).returncode
    ]
    if given.report == REPORTS:
        write_pages()
    if failed:
        print(f"do not conform: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
