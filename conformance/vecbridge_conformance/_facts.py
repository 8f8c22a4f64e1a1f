"""What a report says of the run's surroundings: versions, the suite, the capabilities."""

from __future__ import annotations

import hashlib
import platform
import re
from dataclasses import asdict
from importlib import metadata, resources
from typing import Any

import vecbridge
from vecbridge import Capabilities
from vecbridge_conformance._clauses import contract_text

_ALWAYS = ("vecbridge", "numpy", "hypothesis", "pytest")


def suite_hash() -> str:
    """Tells suites apart: sixteen digits of a hash over the tests and the contract."""
    digest = hashlib.sha256(contract_text().encode())
    folder = resources.files(__package__).joinpath("suite")
    for file in sorted(folder.iterdir(), key=lambda file: file.name):
        if file.name.endswith(".py"):
            digest.update(file.name.encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]


def versions(store: vecbridge.Store) -> dict[str, str]:
    """Versions of Python, of vecbridge and of what the backend stands on.

    A backend that knows more, such as the version of its server, has a method ``versions`` that
    returns it by name.
    """
    names = {*_ALWAYS, *_requirements(store)}
    found = {"python": platform.python_version()}
    found |= {name: known for name in sorted(names) if (known := _version(name))}
    own = getattr(store.backend, "versions", None)
    return found | dict(own()) if callable(own) else found


def capability_values(capabilities: Capabilities) -> dict[str, Any]:
    """Capabilities as JSON has them."""
    return asdict(capabilities) | {"consistency": sorted(capabilities.consistency)}


def _requirements(store: vecbridge.Store) -> list[str]:
    """Packages that the backend's distribution asks for, under the extra of its name if any."""
    package = type(store.backend).__module__.partition(".")[0]
    owners = metadata.packages_distributions().get(package, [])
    return [
        re.split(r"[^A-Za-z0-9_.-]", line, maxsplit=1)[0]
        for owner in owners
        for line in metadata.requires(owner) or []
        if "extra ==" not in line or f"extra == '{store.name}'" in line.replace('"', "'")
    ] + owners


def _version(distribution: str) -> str | None:
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None
