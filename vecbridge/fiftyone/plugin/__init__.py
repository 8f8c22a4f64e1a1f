"""The panel *Similarity indexes* of the FiftyOne App, and its operators.

``vecbridge fiftyone enable`` puts a small folder where FiftyOne looks for plugins; what is in it
only calls :func:`register`.
"""

from __future__ import annotations

from typing import Any

__all__ = ["register"]


def register(plugin: Any) -> None:
    """Registers the panel and its operators; FiftyOne calls this.

    Args:
        plugin: FiftyOne's context of the plugin.
    """
    # FiftyOne's operators are imported only where its App wants them.
    from vecbridge.fiftyone.plugin._operators import OPERATORS
    from vecbridge.fiftyone.plugin._panel import SimilarityIndexesPanel

    for kind in (SimilarityIndexesPanel, *OPERATORS):
        plugin.register(kind)
