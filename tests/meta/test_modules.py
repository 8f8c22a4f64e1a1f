"""A private module that one other module imports is a room of its own only for a reason.

A reader who has to open two files to follow one idea pays for each. So such a module is merged into
its importer, unless one of these holds:

- the importer is the package around it, whose ``__init__`` only gives names to the outside;
- the two together would be longer than a file may be;
- the reason stands in ``REASONS``.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

from tests.meta.source import modules, tree
from tests.meta.test_repository import MOST_LINES

REASONS = {
    "vecbridge_conformance._matrix": "how reports are drawn, apart from how they are read",
    "vecbridge.bulk._verify": "it goes over partitions; transfer gives it its public name",
    "vecbridge._client._threads": "what a cancelled await leaves is one idea; _async lists methods",
    "vecbridge._config._json_text": "places in a text are one idea; _editing is about files",
    "vecbridge.demo._digits": "the data and the model; the main module tells the story",
    "vecbridge.demo._report": "the demo's results, shown; the main module tells its story",
    "vecbridge.fiftyone._run_commands": "commands on runs, with their help; __main__ lists all",
    "vecbridge.haystack._conversion": "a document as a record is one idea; _store lists methods",
    "vecbridge.haystack._filters": "a filter language is one idea, and storing documents another",
    "vecbridge.haystack._secrets": "what of settings may be written down is read alone",
    "vecbridge.haystack._summaries": "methods that Haystack leaves open, of one kind",
    "vecbridge.langchain._answers": "what LangChain makes of hits is one idea; _store lists calls",
    "vecbridge.langchain._filters": "a filter language is one idea, and storing documents another",
    "vecbridge.transfer._npy": "files side by side are one idea; what a format is, another",
    "vecbridge.ranking._directions": "a choice by samples that proofs do without; _join proves",
    "vecbridge.local._order": "ids in order are one idea, and a frozen view is another",
    "vecbridge_chroma._adoption": "reading what others made is one idea; making is another",
    "vecbridge_chroma._filters": "a filter language is one idea, and reading records another",
    "vecbridge_conformance._pool": "when an index is used again is one idea; _harness lends them",
    "vecbridge_faiss._approximate": "FaissIndex chooses; this is one of the ways it chooses from",
    "vecbridge_faiss._effort": "tuning for a recall is one idea, and searching is another",
    "vecbridge_lancedb._adoption": "reading what others made is one idea; making is another",
    "vecbridge_lancedb._filters": "a filter language is one idea, and a table another",
    "vecbridge_milvus._findings": "what a live store holds is one idea; _backend lists calls",
    "vecbridge_milvus._recall": "tuning for a recall is one idea, and searching is another",
    "vecbridge_pgvector._adoption": "reading what others made is one idea; making is another",
    "vecbridge_pgvector._database": "what a database must have is one idea, and indexes another",
    "vecbridge_pgvector._approximate": "an index that is built later is one idea, a table another",
    "vecbridge_pgvector._table": "the records of an index are one idea, and a store another",
    "vecbridge_pgvector._reads": "reading a table is one idea, and writing and searching another",
    "vecbridge_qdrant._adoption": "reading what others made is one idea; making is another",
    "vecbridge_redis._filters": "a filter language is one idea, and keeping records another",
    "vecbridge_torch._scores": "the proof of what narrow products are worth is read alone",
}
"""Why a module is one although another one alone imports it, by its name."""

MODULES = dict(modules())


def test_a_module_that_one_other_imports_has_a_reason() -> None:
    unexplained = [
        f"{name} is imported by {importer} alone: merge it, or say in REASONS why not"
        for name, importer in _with_one_importer().items()
        if name not in REASONS and not _is_exempt(name, importer)
    ]

    assert unexplained == []


def test_no_reason_is_left_of_a_module_that_has_other_importers_or_is_gone() -> None:
    assert sorted(REASONS.keys() - _with_one_importer().keys()) == []


def test_every_reason_is_a_sentence() -> None:
    assert [name for name, reason in REASONS.items() if len(reason.split()) < 4] == []


def _with_one_importer() -> dict[str, str]:
    """Private modules with exactly one importer, and that one."""
    importers = defaultdict(set)
    for name, path in MODULES.items():
        for imported in _imported(path) - {name}:
            importers[imported].add(name)
    return {
        name: min(found)
        for name, found in importers.items()
        if len(found) == 1
        and any(part.startswith("_") for part in name.split("."))
        and MODULES[name].name != "__init__.py"
    }


def _is_exempt(name: str, importer: str) -> bool:
    is_package = importer == name.rpartition(".")[0]
    return is_package or _lines(name) + _lines(importer) > MOST_LINES


def _imported(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= (inner & MODULES.keys()) or {node.module}
    return found & MODULES.keys()


def _lines(name: str) -> int:
    return len(MODULES[name].read_text(encoding="utf-8").splitlines())
