"""Settings of the sklearn backend."""

from __future__ import annotations

from vecbridge.settings import LocalPath, Settings


class SklearnSettings(Settings):
    """Where the records are kept.

    Attributes:
        path: a directory; ``None`` or ``":memory:"`` keeps the records in memory only.
    """

    path: LocalPath | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the records are in this process alone."""
        return self.path in {None, ":memory:"}
