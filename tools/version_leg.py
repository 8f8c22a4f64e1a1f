"""The unit tests on other versions of what we stand on.

`python -m tools.version_leg lowest` takes the oldest versions that `pyproject.toml` allows,
`newest` the newest there are; `--python` names another interpreter. The environment is made below
`build/legs`, once for what it is to hold; remove the folder to have the newest of a later day.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
EXTRAS = (
    "sklearn",
    "faiss",
    "milvus",
    "pgvector",
    "qdrant",
    "redis",
    "cli",
    "parquet",
    "conformance",
)
"""Without torch, FiftyOne, LanceDB and Chroma, whose sizes would make this a matter of an hour."""
TOOLS = ["cryptography", "opentelemetry-sdk", "psutil", "pytest-timeout", "tomli", "pytest>=9"]
TESTS = [
    "cli",
    "client",
    "config",
    "faiss_backend",
    "local",
    "milvus",
    "pgvector",
    "qdrant",
    "ranking",
    "redis",
    "remote",
    "report",
    "sklearn_backend",
    "transfer",
]
WARNINGS = "ignore:'click:DeprecationWarning"
"""Typer's older releases use names that today's click is about to drop."""


def lowest() -> list[str]:
    """Return the lower bound of every requirement, as a version to install."""
    project: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    optional = project["optional-dependencies"]
    requirements = [*project["dependencies"], *(one for name in EXTRAS for one in optional[name])]
    bounds = [re.match(r"([\w-]+)(?:\[.*\])?>=([\d.]+)", one) for one in requirements]
    # The tests themselves need a newer pytest than the suite's users.
    return sorted({f"{found[1]}=={found[2]}" for found in bounds if found and found[1] != "pytest"})


def environment(leg: str, python: str) -> Path:
    """Return the interpreter of an environment for the leg, made where it is not there yet."""
    told = subprocess.run(
        [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
        check=True,
        capture_output=True,
        text=True,
    )
    folder = ROOT / "build" / "legs" / f"{leg}-{told.stdout.strip()}"
    inside, ready = folder / "bin" / "python", folder / "ready"
    wanted = [f"{ROOT}[{','.join(EXTRAS)}]", *TOOLS]
    bounds = lowest() if leg == "lowest" else []
    held = "\n".join([*wanted, *bounds])
    if ready.exists() and ready.read_text() == held:
        return inside
    subprocess.run([python, "-m", "venv", "--clear", str(folder)], check=True)
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(bounds))
    command = [str(inside), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*command, "-c", str(constraints), "--editable", *wanted], check=True)
    ready.write_text(held)
    return inside


def main() -> int:
    """Run a leg, and return the exit status of its tests."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("leg", choices=["lowest", "newest"])
    parser.add_argument("--python", default=sys.executable)
    given = parser.parse_args()
    python = environment(given.leg, given.python)
    tests = [str(ROOT / "tests" / "unit" / name) for name in TESTS]
    command = [str(python), "-m", "pytest", "-q", "-k", "not torch"]
    return subprocess.run([*command, "-W", WARNINGS, *tests], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
