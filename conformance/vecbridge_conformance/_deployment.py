"""The deployment under test: a backend's name and options, and what follows from them."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import urlsplit

from pydantic import SecretStr

import vecbridge

_PLACES = ("uri", "url", "path", "file", "folder", "directory", "database")
_PORTS = {"http": 80, "https": 443, "redis": 6379, "postgresql": 5432, "tcp": 0}
_MASK = "**********"
_PASSWORD = re.compile(r"(?<=//)[^/@]+(?=@)")


class Lifecycle(Protocol):
    """The server behind a deployment, for tests that kill it."""

    def kill(self) -> None:
        """End the server at once, as ``kill -9`` does."""

    def restart(self) -> None:
        """Start it again on the same data, and return when it answers."""


class Address(NamedTuple):
    """Where a server listens."""

    host: str
    port: int


@dataclass(frozen=True)
class Deployment:
    """A backend in one configuration: one column of the matrix.

    Attributes:
        backend: name for :func:`vecbridge.get_backend`.
        options: its settings.
        label: name of the column; the backend's name by default.
        lifecycle: how the server behind it is killed and started again, where that is possible.
        opener: opens the store in place of :func:`vecbridge.get_backend`, for a backend that is
            not installed. A module-level function, where other processes are to open it too.
        place: the option that says where the store is, so that the suite can put it behind a
            proxy, on a port without a listener, or into another folder. Found where it is
            empty: an address with ``://`` in it, a :class:`~pathlib.Path`, a usual name.

    Example:
        >>> Deployment("milvus", {"uri": "vectors.db"}, label="milvus-lite").label
        'milvus-lite'
    """

    backend: str
    options: Mapping[str, Any] = field(default_factory=dict)
    label: str = ""
    lifecycle: Lifecycle | None = None
    opener: Callable[[], vecbridge.Store] | None = None
    place: str = ""

    def __post_init__(self) -> None:
        if not self.label:
            object.__setattr__(self, "label", self.backend)

    def open(self) -> vecbridge.Store:
        """Open a new connection to the store."""
        if self.opener is not None:
            return self.opener()
        return vecbridge.get_backend(self.backend, **self.options)

    def secret_settings(self) -> list[str]:
        """Return names of the backend's settings that are declared secret, given or not."""
        return [name for name, kind in self._settings().items() if SecretStr.__name__ in kind]

    def text_settings(self) -> list[str]:
        """Return the settings that take text or a path, and so an address by mistake."""
        secrets = self.secret_settings()
        return [
            name
            for name, kind in self._settings().items()
            if re.search(r"\bstr\b|\bPath\b", kind) and name not in secrets
        ]

    def hidden_options(self) -> list[str]:
        """Return names of the options that are secrets, or addresses that hold one."""
        secrets = self.secret_settings()
        return [
            name
            for name, value in self.options.items()
            if name in secrets or _PASSWORD.search(str(value))
        ]

    def shown_options(self) -> dict[str, str]:
        """Return the options as text, with secrets and the users of addresses masked."""
        secrets = self.secret_settings()
        return {
            name: _MASK if name in secrets else _PASSWORD.sub(_MASK, str(value))
            for name, value in self.options.items()
        }

    def address(self) -> Address | None:
        """Return where the server listens; ``None`` where the options name none.

        They name one by an address with ``://`` in it, or by ``host`` and ``port``.
        """
        place = self._place()
        if place is not None and "://" in str(self.options[place]):
            parts = urlsplit(str(self.options[place]))
            port = parts.port or _PORTS.get(parts.scheme, 0)
            return Address(parts.hostname, port) if parts.hostname and port else None
        if self.options.get("host") and self.options.get("port"):
            return Address(str(self.options["host"]), int(self.options["port"]))
        return None

    def moved(self, port: int, *, timeout: float, label: str) -> Deployment | None:
        """Return the deployment on another port of this machine.

        Args:
            port: on 127.0.0.1.
            timeout: seconds to wait for the store, where the backend has such a setting.
            label: what is different, for its label.

        Returns:
            ``None`` where the options name no server.
        """
        if self.address() is None:
            return None
        place = self._place()
        options: dict[str, Any] = dict(self.options)
        if place is None:
            options |= {"host": "127.0.0.1", "port": type(options["port"])(port)}
        else:
            parts = urlsplit(str(options[place]))
            user, at, _ = parts.netloc.rpartition("@")
            options[place] = parts._replace(netloc=f"{user}{at}127.0.0.1:{port}").geturl()
        if "timeout" in self._settings():
            options["timeout"] = timeout
        return replace(self, options=options, label=f"{self.label} ({label})")

    def unreachable(self, timeout: float) -> Deployment | None:
        """Return the deployment on a port without a listener; ``None`` without a server.

        Args:
            timeout: seconds to wait for the store, where the backend has such a setting.
        """
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port: int = probe.getsockname()[1]
        return self.moved(port, timeout=timeout, label="unreachable")

    def elsewhere(self, folder: Path) -> Deployment | None:
        """Return the deployment with files in another folder; ``None`` where it keeps no files.

        Args:
            folder: an existing folder.
        """
        place = self._place()
        if place is None or "://" in str(self.options[place]):
            return None
        given = Path(str(self.options[place]))
        if str(given) == ":memory:":
            return None
        options = {**self.options, place: str(folder / f"copy{given.suffix}")}
        return replace(self, options=options, label=f"{self.label} (elsewhere)")

    def _settings(self) -> dict[str, str]:
        """Return the type of each setting of the backend, as text."""
        # Opening connects to nothing (INDEX-9).
        with self.open() as store:
            known = getattr(type(store.backend).settings_type, "model_fields", {})
        return {name: str(setting.annotation) for name, setting in known.items()}

    def _place(self) -> str | None:
        """Return the option that says where the store is: by what it holds, or by its name."""
        if self.opener is not None:
            return None
        given = {name: value for name, value in self.options.items() if value is not None}
        if self.place:
            return self.place if self.place in given else None
        likely = (
            name
            for name, value in given.items()
            if name in _PLACES or isinstance(value, Path) or "://" in str(value)
        )
        return next(likely, None)


def parse_options(words: Sequence[str]) -> dict[str, str]:
    """Return options that a command line gives, each as ``KEY=VALUE``."""
    if wrong := [word for word in words if "=" not in word]:
        raise ValueError(f"an option is KEY=VALUE; got {', '.join(wrong)}")
    return dict(word.split("=", 1) for word in words)
