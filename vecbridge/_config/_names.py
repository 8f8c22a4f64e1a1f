"""Names by which a backend is configured, and how messages list and suggest them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

PREFIX = "vecbridge_"
"""The beginning of the backends' names in FiftyOne, next to FiftyOne's own backends."""


def registered_name(name: str, registered: Collection[str]) -> str:
    """Return the name in the registry of a backend that may be called by its FiftyOne name."""
    plain = name.removeprefix(PREFIX)
    return plain if name not in registered and plain in registered else name


def section_names(backend: str) -> tuple[str, ...]:
    """Return every name under which a backend's settings are looked for."""
    return (backend, PREFIX + backend)


def every_section(registered: Collection[str]) -> set[str]:
    """Return the names under which the settings of any of these backends are looked for."""
    return {section for backend in registered for section in section_names(backend)}


def suggestion(word: str, known: Collection[str]) -> str:
    """Return ``" (did you mean 'x'?)"``, or nothing."""
    from difflib import get_close_matches

    by_folded = {candidate.casefold(): candidate for candidate in known}
    close = get_close_matches(word.casefold(), list(by_folded), n=1)
    return f" (did you mean {by_folded[close[0]]!r}?)" if close else ""


def listed(words: Sequence[str]) -> str:
    """Return words in a sentence."""
    return ", ".join(words) if words else "none"
