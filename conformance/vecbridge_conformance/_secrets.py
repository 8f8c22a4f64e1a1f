"""Which options of a deployment must not be shown, and what is shown in their place."""

from __future__ import annotations

import re
from typing import Any

from pydantic import SecretStr

from vecbridge_conformance._deployment import Deployment

MASK = "**********"
_PASSWORD = re.compile(r"(?<=//)[^/@]+(?=@)")


def secret_settings(deployment: Deployment) -> list[str]:
    """Return names of the backend's settings that are declared secret, given or not."""
    # Opening connects to nothing (INDEX-9).
    with deployment.open() as store:
        known = getattr(type(store.backend).settings_type, "model_fields", {})
    return [
        name for name, setting in known.items() if SecretStr.__name__ in str(setting.annotation)
    ]


def place_settings(deployment: Deployment) -> list[str]:
    """Return the settings that take text or a path, and so an address by mistake."""
    with deployment.open() as store:
        known = getattr(type(store.backend).settings_type, "model_fields", {})
    return [
        name
        for name, setting in known.items()
        if re.search(r"\bstr\b|\bPath\b", str(setting.annotation))
        and SecretStr.__name__ not in str(setting.annotation)
    ]


def is_secret(name: str, value: Any, secrets: list[str]) -> bool:
    """Return whether an option is a secret, or an address that holds one."""
    return name in secrets or bool(_PASSWORD.search(str(value)))


def shown_options(deployment: Deployment) -> dict[str, str]:
    """Return the options as text, secrets and who asks for an address masked."""
    secrets = secret_settings(deployment)
    return {
        name: MASK if name in secrets else _PASSWORD.sub(MASK, str(value))
        for name, value in deployment.options.items()
    }
