"""How long work tells how far it is."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Called after each batch."""

    def __call__(self, stage: str, done: int, total: int) -> None:
        """Report how far the work is.

        Args:
            stage: what is being done, such as ``"copying"``.
            done: records behind us.
            total: records in all, as far as that is known.
        """


def silent(stage: str, done: int, total: int) -> None:
    """Report nothing."""
