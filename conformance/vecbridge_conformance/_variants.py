"""The same backend under other options: where nobody listens, and in a folder of one's own."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from vecbridge_conformance._deployment import Deployment

_PLACES = ("uri", "url", "path", "file", "folder", "directory", "database")


def unreachable(deployment: Deployment, timeout: float) -> Deployment | None:
    """The deployment on a port of this machine on which nobody listens.

    Args:
        deployment: what is under test.
        timeout: seconds to wait for the store, where the backend has such a setting.

    Returns:
        ``None`` where the options name no server.
    """
    place = _place(deployment)
    if place is None or "://" not in str(deployment.options[place]):
        return None
    scheme = urlsplit(str(deployment.options[place])).scheme
    options: dict[str, Any] = {**deployment.options, place: f"{scheme}://127.0.0.1:{_free_port()}"}
    with deployment.open() as store:
        known = type(store.backend).settings_type.model_fields
    if "timeout" in known:
        options["timeout"] = timeout
    return replace(deployment, options=options, label=f"{deployment.label} (nobody there)")


def elsewhere(deployment: Deployment, folder: Path) -> Deployment | None:
    """The deployment with its files in another folder; ``None`` where it keeps no files.

    Args:
        deployment: what is under test.
        folder: an existing folder.
    """
    place = _place(deployment)
    if place is None or "://" in str(deployment.options[place]):
        return None
    given = Path(str(deployment.options[place]))
    if str(given) == ":memory:":
        return None
    options = {**deployment.options, place: str(folder / f"copy{given.suffix}")}
    return replace(deployment, options=options, label=f"{deployment.label} (elsewhere)")


def _place(deployment: Deployment) -> str | None:
    """The option that says where the store is."""
    if deployment.opener is not None:
        return None
    return next((name for name in _PLACES if deployment.options.get(name) is not None), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
