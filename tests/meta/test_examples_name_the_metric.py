"""Each ``compute_similarity`` call that we show names its metric: FiftyOne's defaults differ."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator

import pytest

from tests.meta.source import ROOT

_FOLDERS = ("docs", "examples", "vecbridge", "backends")
_CALL = re.compile(r"compute_similarity\(")
_WRITTEN_BY_TOOLS = {"docs/reference/neighbours.md"}


def _shown() -> Iterator[tuple[str, str]]:
    """Each call with arguments, and where it is."""
    pages = [ROOT / "README.md"]
    for folder in _FOLDERS:
        pages += sorted((ROOT / folder).rglob("*.md")) + sorted((ROOT / folder).rglob("*.py"))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        name = page.relative_to(ROOT).as_posix()
        if name in _WRITTEN_BY_TOOLS or name.startswith("docs/adr/"):
            continue
        for found in _CALL.finditer(text):
            call = _call_at(text, found.start())
            if call is not None and (call.args or call.keywords):
                line = text.count("\n", 0, found.start()) + 1
                yield f"{name}:{line}", ast.unparse(call)


def _call_at(text: str, start: int) -> ast.Call | None:
    """Return the call that begins there, if it is one of Python."""
    for end in (match.end() for match in re.finditer(r"\)", text[start : start + 2000])):
        try:
            found = ast.parse(text[start : start + end], mode="eval").body
        except SyntaxError:
            continue
        return found if isinstance(found, ast.Call) else None
    return None


def _names_metric(call: str) -> bool:
    return "metric=" in call or "**" in call


@pytest.mark.parametrize(("place", "call"), list(_shown()), ids=lambda value: str(value)[:60])
def test_a_shown_call_names_its_metric(place: str, call: str) -> None:
    assert _names_metric(call), f"{place}: {call}"


def test_calls_are_found() -> None:
    assert len(list(_shown())) >= 5
    assert not _names_metric('compute_similarity(dataset, backend="milvus")')
