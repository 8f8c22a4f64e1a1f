"""Finds a backend by name, reads its settings, and puts the front before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vecbridge._front._store import Store


def backend_names() -> list[str]:
    """Names of the installed backends, sorted; none of them is imported."""
    from importlib.metadata import entry_points

    return sorted({entry.name for entry in entry_points(group="vecbridge.backends")})


def get_backend(name: str | None = None, **options: Any) -> Store:
    """A configured store."""
    from importlib.metadata import entry_points

    from vecbridge._front._store import Store

    (entry,) = entry_points(group="vecbridge.backends", name=name or "sklearn")
    kind = entry.load()
    return Store(kind(kind.settings_type(**options)))
