"""The reference leaves nothing out: every public name has a place, every setting a sentence."""

from __future__ import annotations

import importlib
import re

import pytest
from pydantic import BaseModel

import vecbridge
from tests.meta.public_names import PUBLIC, WITH_DATABASE
from tests.meta.source import ROOT

PLACES = {
    place
    for page in (ROOT / "docs" / "reference").glob("*.md")
    for place in re.findall(r"^::: (\S+)", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
}
ELSEWHERE = {"vecbridge.cli.main"}
"""What is no reader's business: the command, which has a page of its own."""
SETTINGS = [
    ("vecbridge.settings", "Settings"),
    ("vecbridge_chroma", "ChromaSettings"),
    ("vecbridge_faiss", "FaissSettings"),
    ("vecbridge_milvus", "IndexSettings"),
    ("vecbridge_milvus", "MilvusSettings"),
    ("vecbridge_lancedb", "LancedbSettings"),
    ("vecbridge_pgvector", "PgvectorSettings"),
    ("vecbridge_qdrant", "QdrantSettings"),
    ("vecbridge_redis", "RedisSettings"),
    ("vecbridge_sklearn", "SklearnSettings"),
    ("vecbridge_torch", "TorchSettings"),
]


def test_every_public_name_has_a_place_in_the_reference() -> None:
    names = {f"{module}.{name}" for module, held in _public() for name in held}
    whole = {f"{module}.{name}" for module, held in _public() if module in PLACES for name in held}

    assert sorted(names - whole - PLACES - ELSEWHERE) == []


@pytest.mark.parametrize(("module", "name"), SETTINGS)
def test_every_setting_is_documented_where_it_is_declared(module: str, name: str) -> None:
    settings: type[BaseModel] = getattr(importlib.import_module(module), name)
    own = [field for field in settings.model_fields if field in settings.__annotations__]
    _, _, documented = (settings.__doc__ or "").partition("Attributes:")

    assert own
    missing = [field for field in own if not re.search(rf"^ +{field}:", documented, re.MULTILINE)]
    assert missing == []


def test_every_error_has_a_cause_and_a_cure() -> None:
    page = (ROOT / "docs" / "reference" / "errors.md").read_text(encoding="utf-8")
    rows = set(re.findall(r"^\| `(\w+)` \| [^|]+ \| [^|]+ \|$", page, flags=re.MULTILINE))
    errors = {name for name in vecbridge.__all__ if name.endswith("Error")}

    assert errors - rows == {"VecbridgeError", "InvalidInputError"}, "their children are there"


def _public() -> list[tuple[str, list[str]]]:
    return [*PUBLIC.items(), *WITH_DATABASE.items()]
