"""The panel *Similarity indexes* of the FiftyOne App, and its operators.

``vecbridge fiftyone enable`` puts a small folder where FiftyOne looks for plugins. Its code only
calls :func:`register`.
"""

from __future__ import annotations

from typing import Any

from vecbridge.fiftyone.plugin._folder import place_plugin, plugin_status, remove_plugin

__all__ = ["place_plugin", "plugin_status", "register", "remove_plugin"]


def register(plugin: Any) -> None:
    """Register the panel and its operators; FiftyOne calls this.

    Args:
        plugin: FiftyOne's context of the plugin.
    """
    # FiftyOne's operators are imported only where its App wants them.
    from vecbridge.fiftyone.plugin._operators import OPERATORS
    from vecbridge.fiftyone.plugin._panel import SimilarityIndexesPanel

    for kind in (SimilarityIndexesPanel, *OPERATORS):
        plugin.register(kind)
