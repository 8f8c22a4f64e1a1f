"""What an index can do, as a person reads it."""

from __future__ import annotations


def worded(name: str, value: object) -> str:
    """Return a capability as a person reads it.

    Args:
        name: of the attribute of :class:`vecbridge.Capabilities`.
        value: of it.
    """
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value))) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "no limit" if name.startswith("max_") else "-"
    return f"{value:,}"
