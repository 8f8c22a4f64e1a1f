"""Settings of a backend: typed, checked, and read from where FiftyOne reads them.

Imports pydantic, which ``import vecbridge`` does not.
"""

from __future__ import annotations

from vecbridge._config._loading import dependencies_of
from vecbridge._config._settings import Settings

__all__ = ["Settings", "dependencies_of"]
