"""Every dependency is declared where it is imported, and has a reason that is written down."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from tests.meta.source import ROOT, modules, tree

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
PAGE = (ROOT / "docs" / "reference" / "dependencies.md").read_text(encoding="utf-8")
INSTALLATION = (ROOT / "docs" / "how-to" / "install.md").read_text(encoding="utf-8")
OURS = {"vecbridge", "vecbridge_conformance"}
DISTRIBUTIONS = {
    "_pytest": "pytest",
    "bson": "fiftyone",
    "eta": "fiftyone",
    "faiss": "faiss-cpu",
    "grpc": "pymilvus",
    "haystack": "haystack-ai",
    "httpx": "chromadb",
    "langchain_core": "langchain-core",
    "milvus_lite": "pymilvus",
    "qdrant_client": "qdrant-client",
    "sklearn": "scikit-learn",
}
"""Where the name of an import is not the name of what brings it."""
EXTRAS = {
    "vecbridge_conformance": "conformance",
    "vecbridge_chroma": "chroma",
    "vecbridge_faiss": "faiss",
    "vecbridge_lancedb": "lancedb",
    "vecbridge_milvus": "milvus",
    "vecbridge_pgvector": "pgvector",
    "vecbridge_qdrant": "qdrant",
    "vecbridge_redis": "redis",
    "vecbridge_sklearn": "sklearn",
    "vecbridge_torch": "torch",
    "vecbridge.bulk._dask": "dask",
    "vecbridge.bulk._ray": "ray",
    "vecbridge.cli": "cli",
    "vecbridge.fiftyone": "fiftyone",
    "vecbridge.haystack": "haystack",
    "vecbridge.langchain": "langchain",
    "vecbridge.transfer": "parquet",
    "vecbridge._client._tables": "parquet",
    "vecbridge._contract._arrow": "parquet",
}
"""The extra that a package or a module may count on, besides what is always installed."""
CALLERS = {("vecbridge._contract._arrow", "pandas")}
"""What a caller asks for by its name, and has."""
DEMO = {"PIL", "fiftyone", "rich", "sklearn"}
"""The demo is run from a checkout, with everything in it."""


def test_every_dependency_has_a_row_and_every_row_a_dependency() -> None:
    assert _names(_declared()) - OURS == set(re.findall(r"^\| `([\w-]+)` \|", PAGE, re.MULTILINE))


def test_the_page_of_the_installation_names_every_extra_and_its_oldest_versions() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", INSTALLATION, re.MULTILINE))
    optional = PROJECT["project"]["optional-dependencies"]

    assert set(rows) == set(optional)
    for extra, told in rows.items():
        oldest = optional[extra][0].partition(">=")[2]
        assert not oldest or re.search(rf" {re.escape(oldest)}(,|$)", told), extra


def test_every_import_is_declared_where_it_is_needed() -> None:
    wrong = [
        f"{module} imports {package}"
        for module, package in _imports()
        if DISTRIBUTIONS.get(package, package) not in _allowed(module)
        and not (module.startswith("vecbridge.demo") and package in DEMO)
        and (module, package) not in CALLERS
    ]
    assert wrong == []


def test_the_check_above_sees_imports() -> None:
    assert ("vecbridge_faiss._built", "faiss") in set(_imports())
    assert "faiss-cpu" not in _allowed("vecbridge._client._index")


def _declared() -> Iterator[str]:
    project = PROJECT["project"]
    yield from project["dependencies"]
    yield from PROJECT["build-system"]["requires"]
    for group in (
        *project["optional-dependencies"].values(),
        *PROJECT["dependency-groups"].values(),
    ):
        yield from (entry for entry in group if isinstance(entry, str))


def _names(requirements: Iterable[str]) -> set[str]:
    return {re.split(r"[^\w-]", requirement, maxsplit=1)[0] for requirement in requirements}


def _allowed(module: str) -> set[str]:
    project = PROJECT["project"]
    parts = module.split(".")
    around = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    extra = next((EXTRAS[name] for name in around if name in EXTRAS), None)
    optional = project["optional-dependencies"][extra] if extra else []
    return _names([*project["dependencies"], *optional])


def _imports() -> Iterator[tuple[str, str]]:
    """Every shipped module with each package of others that it imports, anywhere in it."""
    for module, path in modules():
        for node in ast.walk(tree(path)):
            names: list[str] = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0 and node.module:
                names = [node.module]
            for name in names:
                package = name.split(".")[0]
                ours = package.startswith("vecbridge")
                if not ours and package not in sys.stdlib_module_names | {"__future__"}:
                    yield module, package
