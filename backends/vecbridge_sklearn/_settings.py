"""Settings of the sklearn backend."""

from __future__ import annotations

from pathlib import Path

from vecbridge.settings import Settings


class SklearnSettings(Settings):
    """Where the records are kept.

    Attributes:
        path: a directory; ``None`` or ``":memory:"`` keeps the records in memory only.
    """

    path: str | Path | None = None
