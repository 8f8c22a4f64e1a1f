"""What a report says of the run's surroundings: versions, the suite, the capabilities."""

from __future__ import annotations

import hashlib
import platform
from dataclasses import asdict
from importlib import metadata, resources
from typing import Any

from packaging.requirements import Requirement

import vecbridge
from vecbridge import Capabilities, VecbridgeError
from vecbridge_conformance._clauses import contract_text

_ALWAYS = ("vecbridge", "numpy", "hypothesis", "pytest")


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


def capability_values(capabilities: Capabilities) -> dict[str, Any]:
    """Return capabilities as JSON has them."""
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(capabilities).items()
    }


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
                found.append(requirement.name)
                found += _with_extras(requirement)
    return found


def _with_extras(requirement: Requirement) -> list[str]:
    """Return packages of a requirement's extras, as in ``pymilvus[milvus-lite]``."""
    return [extra for extra in requirement.extras if _version(extra) is not None]


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
