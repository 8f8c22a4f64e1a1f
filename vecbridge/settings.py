"""Settings of a backend: typed, checked, and read from where FiftyOne reads them.

Imports pydantic, which ``import vecbridge`` does not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, TypeAlias

from pydantic import BeforeValidator

from vecbridge._addresses import Address, local_path, parse_address
from vecbridge._config._registry import dependencies_of, describe_settings
from vecbridge._config._settings import ResolvedSetting, Settings
from vecbridge._redaction import redacted, redacted_message

__all__ = [
    "Address",
    "LocalPath",
    "ResolvedSetting",
    "Settings",
    "dependencies_of",
    "describe_settings",
    "local_path",
    "parse_address",
    "redacted",
    "redacted_message",
]

LocalPath: TypeAlias = Annotated[str | Path, BeforeValidator(local_path)]
"""A file or folder on this machine; an address, an empty string or a NUL is refused."""
