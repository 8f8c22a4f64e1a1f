"""The same backend under other options: elsewhere on the network, or in a folder of one's own."""

from __future__ import annotations

import socket
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from vecbridge_conformance._deployment import Deployment

_PLACES = ("uri", "url", "path", "file", "folder", "directory", "database")
_PORTS = {"http": 80, "https": 443, "redis": 6379, "postgresql": 5432, "tcp": 0}


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


def address_of(deployment: Deployment) -> Address | None:
    """Return where the server of a deployment listens; ``None`` where the options name none.

    They name one by an address with ``://`` in it, or by ``host`` and ``port``.
    """
    place = _place(deployment)
    if place is not None and "://" in str(deployment.options[place]):
        parts = urlsplit(str(deployment.options[place]))
        port = parts.port or _PORTS.get(parts.scheme, 0)
        return Address(parts.hostname, port) if parts.hostname and port else None
    options = deployment.options
    if options.get("host") and options.get("port"):
        return Address(str(options["host"]), int(options["port"]))
    return None


def moved(deployment: Deployment, port: int, *, timeout: float, label: str) -> Deployment | None:
    """Return the deployment on another port of this machine.

    Args:
        deployment: what is under test.
        port: on 127.0.0.1.
        timeout: seconds to wait for the store, where the backend has such a setting.
        label: what is different, for its label.

    Returns:
        ``None`` where the options name no server.
    """
    if address_of(deployment) is None:
        return None
    place = _place(deployment)
    options: dict[str, Any] = dict(deployment.options)
    if place is None:
        options |= {"host": "127.0.0.1", "port": type(options["port"])(port)}
    else:
        parts = urlsplit(str(options[place]))
        user, at, _ = parts.netloc.rpartition("@")
        options[place] = parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
    with deployment.open() as store:
        known = type(store.backend).settings_type.model_fields
    if "timeout" in known:
        options["timeout"] = timeout
    return replace(deployment, options=options, label=f"{deployment.label} ({label})")


def unreachable(deployment: Deployment, timeout: float) -> Deployment | None:
    """Return the deployment on a port without a listener; ``None`` where there is no server."""
    return moved(deployment, _free_port(), timeout=timeout, label="nobody there")


def elsewhere(deployment: Deployment, folder: Path) -> Deployment | None:
    """Return the deployment with its files in another folder; ``None`` where it keeps no files.

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
    """Return the option that says where the store is: by what it holds, or by how it is called."""
    if deployment.opener is not None:
        return None
    given = {name: value for name, value in deployment.options.items() if value is not None}
    if deployment.place:
        return deployment.place if deployment.place in given else None
    likely = (
        name
        for name, value in given.items()
        if name in _PLACES or isinstance(value, Path) or "://" in str(value)
    )
    return next(likely, None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
