"""No call waits longer than the setting ``timeout`` says."""

from __future__ import annotations

import ast
from pathlib import Path

import vecbridge_milvus

SOURCES = sorted(Path(vecbridge_milvus.__file__).parent.rglob("*.py"))
OF_THE_CLIENT_ALONE = {"close", "create_schema", "prepare_index_params"}
"""Methods of pymilvus's client that ask no server."""


def calls_of_the_client(path: Path) -> list[ast.Call]:
    return [
        node
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "client"
        and not node.func.attr.startswith("_")
        and node.func.attr not in OF_THE_CLIENT_ALONE
    ]


def test_every_call_of_the_client_has_a_deadline() -> None:
    asked = [(path, call) for path in SOURCES for call in calls_of_the_client(path)]
    assert len(asked) > 20
    without = [
        f"{path.name}:{call.lineno}"
        for path, call in asked
        if not {"timeout", None} & {keyword.arg for keyword in call.keywords}
    ]
    assert without == []
