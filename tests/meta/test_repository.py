"""What must stay true of the code base as a whole."""

from __future__ import annotations

import importlib
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.meta.source import BACKENDS, PACKAGES, ROOT, modules

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

MOST_LINES = 400
PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SOURCES = [path for _, path in modules()]
TESTS = sorted((ROOT / "tests").rglob("*.py"))


@pytest.mark.parametrize("path", [*SOURCES, *TESTS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_file_is_longer_than_a_person_reads_in_one_sitting(path: Path) -> None:
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES


def test_every_package_tells_type_checkers_that_it_is_typed() -> None:
    assert [package.name for package in PACKAGES if not (package / "py.typed").exists()] == []


def test_the_wheel_holds_every_package_of_the_source_roots() -> None:
    listed = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]
    found = {str(path.parent.relative_to(ROOT)) for path in ROOT.glob("*/*/py.typed")}

    assert set(listed) == found | {"vecbridge"}


def test_every_registered_backend_is_the_class_of_its_name() -> None:
    registered = PROJECT["project"]["entry-points"]["vecbridge.backends"]
    assert {f"vecbridge_{name}" for name in registered} == {path.name for path in BACKENDS}
    for name, target in registered.items():
        module, _, attribute = target.partition(":")
        backend = getattr(importlib.import_module(module), attribute)
        assert backend.name == name
        assert name in PROJECT["project"]["optional-dependencies"]


def test_every_decision_is_numbered_dated_and_in_three_parts() -> None:
    pages = sorted((ROOT / "docs" / "adr").glob("0*.md"))

    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        text = page.read_text(encoding="utf-8")
        assert re.match(rf"# {page.name[:4]}\. .+\n\n\d{{4}}-\d\d-\d\d\. Accepted\.", text), page
        headings = re.findall(r"^## (.+)$", text, flags=re.MULTILINE)
        assert headings == ["Context", "Decision", "Consequences"], page
