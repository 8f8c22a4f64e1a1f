"""What a settings class declares of its settings."""

from __future__ import annotations

from pathlib import PurePath
from typing import Any, get_args

from pydantic import BaseModel, SecretBytes, SecretStr


def is_secret(settings: type[BaseModel], key: str) -> bool:
    """Return whether a setting is declared as a secret."""
    return _mentions(settings.model_fields[key].annotation, (SecretStr, SecretBytes))


def is_free_text(settings: type[BaseModel], key: str) -> bool:
    """Return whether a setting takes text of any form: what it refuses may be an address."""
    return _mentions(settings.model_fields[key].annotation, (str, bytes, PurePath))


def _mentions(annotation: Any, kinds: tuple[type[Any], ...]) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, kinds):
        return True
    # The words of a Literal are values, and no types.
    return annotation is Any or any(_mentions(part, kinds) for part in get_args(annotation))
