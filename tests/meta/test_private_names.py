"""What the Milvus backend uses of pymilvus and Milvus Lite that is not public stands on a page."""

from __future__ import annotations

import ast
import re

from tests.meta.source import ROOT

PAGE = (ROOT / "docs" / "reference" / "dependencies.md").read_text(encoding="utf-8")
BACKEND = ROOT / "backends" / "vecbridge_milvus"
# A named tuple's own, which Python documents.
PUBLIC = {"_replace"}


def used() -> set[str]:
    """Private names of things that are not this package's own objects."""
    found: set[str] = set()
    for path in BACKEND.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Attribute) and node.attr.startswith("_"):
                owner = node.value
                if not (isinstance(owner, ast.Name) and owner.id in {"self", "cls", "error"}):
                    found.add(node.attr)
            elif (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and node.func.id in {"getattr", "hasattr"}
                and isinstance(node.args[1], ast.Constant)
                and str(node.args[1].value).startswith("_")
            ):
                found.add(str(node.args[1].value))
    return {name for name in found if not name.startswith("__")} - PUBLIC


def test_the_page_lists_every_private_name() -> None:
    (section,) = re.findall(r"## Private names\n(.*?)(?=\n## |\Z)", PAGE, re.DOTALL)
    assert set(re.findall(r"^\| [^|]+ \| `(\w+)`", section, re.MULTILINE)) == used()
