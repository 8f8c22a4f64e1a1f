"""What is under test: a backend's name, its options, and how its server is handled."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import vecbridge


class Lifecycle(Protocol):
    """The server behind a deployment, for tests that kill it."""

    def kill(self) -> None:
        """End the server at once, as ``kill -9`` does."""

    def restart(self) -> None:
        """Start it again on the same data, and return when it answers."""


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
            proxy, on a port where nobody listens, or into another folder. Found where it is
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
