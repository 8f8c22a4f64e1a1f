"""The name of :func:`ids_at` that the client layer and FiftyOne still import."""

from __future__ import annotations

from vecbridge.ranking._topk import ids_at as taken

__all__ = ["taken"]
