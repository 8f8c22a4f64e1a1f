"""Settings of a backend as Haystack writes them down: never with a secret."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vecbridge import ConfigurationError
from vecbridge._documents import extra
from vecbridge.settings import describe_settings, redacted

with extra("haystack"):
    from haystack.utils import Secret


def written(backend: str | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they may be written down.

    Raises:
        ConfigurationError: one holds a secret as plain text.
    """
    plain = {name: value for name, value in settings.items() if not isinstance(value, Secret)}
    secret = {each.name for each in describe_settings(backend, **plain) if each.secret}
    for name, value in plain.items():
        if name in secret or redacted(value) != value:
            raise ConfigurationError(
                f"the setting {name!r} holds a secret, which is never written. Give it as "
                f"Secret.from_env_var(...), or in the environment of the backend"
            )
    return {
        name: value.to_dict() if isinstance(value, Secret) else value
        for name, value in settings.items()
    }


def read(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as they were before they were written down."""
    return {
        name: Secret.from_dict(value) if isinstance(value, dict) else value
        for name, value in settings.items()
    }


def resolved(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as the backend takes them."""
    return {
        name: value.resolve_value() if isinstance(value, Secret) else value
        for name, value in settings.items()
    }
