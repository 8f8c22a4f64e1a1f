"""The tutorial's code is the worked package's, line by line."""

from __future__ import annotations

import re
import sys

from tests.meta.source import ROOT

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

PAGE = ROOT / "docs" / "tutorial" / "write-a-backend.md"
MODULE = ROOT / "examples" / "vecbridge-postgres" / "vecbridge_postgres" / "__init__.py"
TESTS = ROOT / "examples" / "vecbridge-postgres" / "tests" / "test_conformance.py"
PROJECT = ROOT / "examples" / "vecbridge-postgres" / "pyproject.toml"
METADATA = re.compile(r"^```toml\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)
LISTING = re.compile(r'^```python title="[^"]+"\n(.*?)^```$', flags=re.MULTILINE | re.DOTALL)


def _lines(text: str) -> list[str]:
    return [line for line in text.splitlines() if line.strip()]


def test_the_tutorial_shows_the_whole_module_and_nothing_else() -> None:
    shown = "\n".join(LISTING.findall(PAGE.read_text(encoding="utf-8")))

    assert _lines(shown) == _lines(MODULE.read_text(encoding="utf-8"))


def test_the_tutorial_shows_the_packages_own_test() -> None:
    assert TESTS.read_text(encoding="utf-8") in PAGE.read_text(encoding="utf-8")


def test_what_the_tutorial_shows_of_the_metadata_is_the_packages_and_can_be_installed() -> None:
    (listing,) = METADATA.findall(PAGE.read_text(encoding="utf-8"))
    shown, whole = tomllib.loads(listing), tomllib.loads(PROJECT.read_text(encoding="utf-8"))

    assert shown["build-system"] == whole["build-system"]
    assert shown["project"].items() <= whole["project"].items()
    assert {"name", "version", "optional-dependencies", "entry-points"} <= set(shown["project"])


def test_the_worked_backend_is_as_short_as_the_tutorial_says() -> None:
    lines = _lines(MODULE.read_text(encoding="utf-8"))
    code = [line for line in lines if not line.strip().startswith(("#", '"""'))]

    assert f"{len(code)} lines of code" in " ".join(PAGE.read_text(encoding="utf-8").split())
    assert len(code) < 150
