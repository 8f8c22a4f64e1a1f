"""The report of a run: JSON that a program reads, and a matrix of several side by side."""

from __future__ import annotations

import hashlib
import json
import platform
import re
from importlib import metadata, resources
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

import vecbridge
from vecbridge import VecbridgeError
from vecbridge_conformance._clauses import contract_text
from vecbridge_conformance._matrix import cell_of, html_matrix, markdown_matrix
from vecbridge_conformance._verdicts import SIGNS, translated

__all__ = [
    "SCHEMA",
    "SIGNS",
    "differences",
    "html_matrix",
    "markdown_matrix",
    "read_report",
    "suite_hash",
    "versions",
    "write_report",
]

SCHEMA = 2
"""Version of the report's form, described in ``docs/how-to/run-conformance.md``."""

_EARLIER_SCHEMA = 1
"""The same with other words for verdicts; it is translated when it is read."""
_ALWAYS = ("vecbridge", "numpy", "hypothesis", "pytest")


def write_report(report: dict[str, Any], folder: Path) -> Path:
    """Write ``<label>.json``, and a matrix of every report in the folder.

    Returns:
        The JSON file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{re.sub(r'[^A-Za-z0-9._-]', '_', report['label'])}.json"
    file.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    reports = [read_report(path) for path in sorted(folder.glob("*.json"))]
    (folder / "matrix.md").write_text(markdown_matrix(reports), encoding="utf-8")
    (folder / "matrix.html").write_text(html_matrix(reports), encoding="utf-8")
    return file


def read_report(path: Path) -> dict[str, Any]:
    """Read a report.

    Raises:
        ValueError: the file is none, or of another form than this version reads.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ValueError(f"{path} is not a report: {error}") from error
    schema = report.get("schema") if isinstance(report, dict) else None
    if schema not in {_EARLIER_SCHEMA, SCHEMA}:
        raise ValueError(f"{path} is not a report of form {SCHEMA}")
    return report if schema == SCHEMA else {**translated(report), "schema": SCHEMA}


def differences(one: dict[str, Any], other: dict[str, Any]) -> list[tuple[str, str, str]]:
    """Return the clauses on which two reports differ: id, and the verdict of each."""
    names = dict.fromkeys([*one["clauses"], *other["clauses"]])
    pairs = ((name, cell_of(one, name)[0], cell_of(other, name)[0]) for name in names)
    return [pair for pair in pairs if pair[1] != pair[2]]


def suite_hash() -> str:
    """Tell suites apart: sixteen digits of a hash over the tests and the contract."""
    digest = hashlib.sha256(contract_text().encode())
    folder = resources.files("vecbridge_conformance").joinpath("suite")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def versions(store: vecbridge.Store) -> dict[str, str]:
    """Return versions of Python, of vecbridge and of what the backend stands on.

    A backend that knows more, such as the version of its server, has a method ``versions`` that
    returns it by name.
    """
    names = {*_ALWAYS, *_requirements(store)}
    found = {"python": platform.python_version()}
    found |= {name: known for name in sorted(names) if (known := _version(name))}
    own: Any = getattr(store.backend, "versions", None)
    if own is not None:
        try:
            found.update(own())
        except VecbridgeError as error:
            found["store"] = f"unknown: {error}"
    return found


def _requirements(store: vecbridge.Store) -> list[str]:
    """Return the distribution that registers the backend, and what it asks for.

    Of requirements under an extra, those under the backend's own name count.
    """
    registered = metadata.entry_points(group="vecbridge.backends", name=store.name)
    found = []
    for distribution in (entry.dist for entry in registered if entry.dist is not None):
        found.append(distribution.name)
        for line in distribution.requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or marker.evaluate({"extra": store.name}):
                # An extra may be named after its package, as in ``pymilvus[milvus-lite]``.
                found += [requirement.name, *requirement.extras]
    return found


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
