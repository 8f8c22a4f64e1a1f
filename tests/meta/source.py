"""What the sources say, read without importing them."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
BACKENDS = (
    ROOT / "backends" / "vecbridge_chroma",
    ROOT / "backends" / "vecbridge_faiss",
    ROOT / "backends" / "vecbridge_milvus",
    ROOT / "backends" / "vecbridge_lancedb",
    ROOT / "backends" / "vecbridge_pgvector",
    ROOT / "backends" / "vecbridge_qdrant",
    ROOT / "backends" / "vecbridge_redis",
    ROOT / "backends" / "vecbridge_sklearn",
    ROOT / "backends" / "vecbridge_torch",
)
PACKAGES = (ROOT / "vecbridge", *BACKENDS, ROOT / "conformance" / "vecbridge_conformance")


def modules() -> Iterator[tuple[str, Path]]:
    """Dotted name and file of every shipped module."""
    for package in PACKAGES:
        for path in sorted(package.rglob("*.py")):
            parts = path.relative_to(package.parent).with_suffix("").parts
            yield ".".join(part for part in parts if part != "__init__"), path


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def is_public(name: str) -> bool:
    return not any(part.startswith(("_", "test_")) for part in name.split("."))


def exported(path: Path) -> list[str]:
    """Return the module's ``__all__``, which must be a plain list of strings."""
    for node in tree(path).body:
        match node:
            case ast.Assign(targets=[ast.Name("__all__")], value=ast.List(elements)):
                return [ast.literal_eval(element) for element in elements]
    return []
