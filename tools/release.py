"""What a release has to be: `python -m tools.release [--repository OWNER/NAME]`.

It looks for what is unfinished, builds the wheel and the source archive twice, compares the two
builds byte by byte, checks them as a package index does, and leaves them in `dist/`.
"""

from __future__ import annotations

import argparse
import hashlib
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]


def version(root: Path) -> str:
    """Return the version that the package at ``root`` has."""
    text = (root / "vecbridge" / "__init__.py").read_text(encoding="utf-8")
    found = re.search(r'^__version__ = "(.+)"$', text, re.MULTILINE)
    return found[1] if found else ""


def unfinished(root: Path, repository: str | None = None) -> list[str]:
    """Return what keeps the sources at ``root`` from being released, a sentence each.

    Args:
        root: a checkout.
        repository: ``owner/name`` of the repository that releases it; not compared if None.
    """
    current = version(root)
    problems = []
    if not re.fullmatch(r"\d+\.\d+\.\d+", current):
        problems.append(f"vecbridge.__version__ is {current!r}, which is no release: set X.Y.Z")
    changes = (root / "CHANGELOG.md").read_text(encoding="utf-8")
    newest = re.search(r"^## (\S+) \((\d{4}-\d\d-\d\d)\)$", changes, re.MULTILINE)
    if newest is None or newest[1] != current:
        problems.append(f"CHANGELOG.md does not begin with {current}: make changelog, then edit")
    fragments = sorted(
        path.name for path in (root / "changelog.d").glob("*.md") if path.name != "README.md"
    )
    if fragments:
        problems.append(
            f"changelog.d has {len(fragments)} fragments that are not in CHANGELOG.md, "
            f"the first is {fragments[0]}: towncrier build --version {current}"
        )
    citation = (root / "CITATION.cff").read_text(encoding="utf-8")
    if f"\nversion: {current}\n" not in citation:
        problems.append(f"CITATION.cff does not name version {current}")
    source = _project(root)["urls"]["Source"]
    if repository is not None and source != f"https://github.com/{repository}":
        problems.append(
            f"[project.urls] leads to {source}, this repository is {repository}: "
            f"change the addresses in pyproject.toml and in docs/explanation/versions.md"
        )
    return problems


def build(root: Path, folder: Path) -> dict[str, str]:
    """Build into ``folder``; return the SHA-256 of each file by its name."""
    _run([sys.executable, "-m", "build", "--outdir", str(folder), str(root)])
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.iterdir())
    }


def main() -> int:
    """Check and build the release; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m tools.release", description=__doc__)
    parser.add_argument("--repository", metavar="OWNER/NAME", help="who releases it")
    options = parser.parse_args()
    problems = unfinished(ROOT, options.repository)
    if problems:
        print("\n".join(problems), file=sys.stderr)
        return 1
    dist = ROOT / "dist"
    shutil.rmtree(dist, ignore_errors=True)
    first = build(ROOT, dist)
    with tempfile.TemporaryDirectory() as again:
        second = build(ROOT, Path(again))
    if first != second:
        print(f"two builds differ: {first} and {second}", file=sys.stderr)
        return 1
    _run([sys.executable, "-m", "twine", "check", "--strict", *map(str, sorted(dist.iterdir()))])
    for name, digest in first.items():
        print(f"{digest}  dist/{name}")
    return 0


def _project(root: Path) -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))
    return dict(project["project"])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}")


if __name__ == "__main__":
    sys.exit(main())
