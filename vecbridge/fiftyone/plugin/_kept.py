"""What is kept with the dataset for the panel: what was done last, lags, verdicts.

It is kept in MongoDB, where no address of a store is: those come from each process's configuration.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any

from vecbridge.fiftyone.plugin._jobs import Told

_STORE = "vecbridge_panel"
_LAST = "last"
_URL = r"[a-z][a-z0-9+.-]*://[^\s`'\",;()<>]*[^\s`'\",;()<>.:]"
_HOST_AND_PORT = r"(?:(?:[\w-]+\.)+[\w-]+|\[[0-9a-f:]+\]|localhost):\d+\b|[a-z][\w-]*:\d{4,5}\b"
_ADDRESS = re.compile(rf"\b{_URL}|(?<![\w.-])(?:{_HOST_AND_PORT})", re.IGNORECASE)


def keep_last(ctx: Any, told: Told) -> None:
    """Keeps what was done last, for the panel to show, whoever did it."""
    said = {name: _ADDRESS.sub("the server", text) for name, text in told.kept().items()}
    ctx.store(_STORE).set(_LAST, said)


def last(ctx: Any) -> Told | None:
    """What was done last."""
    found = ctx.store(_STORE).get(_LAST)
    return None if found is None else Told(**found)


def forget_last(ctx: Any) -> None:
    """Forgets it."""
    ctx.store(_STORE).delete(_LAST)


def keep_examined(ctx: Any, store: str, where: str, found: dict[str, str]) -> None:
    """Keeps the lag and the verdict of a store."""
    ctx.store(_STORE).set(_name(store, where), found)


def examined(ctx: Any, store: str, where: str) -> dict[str, str]:
    """The lag and the verdict of a store, where it was examined."""
    return dict(ctx.store(_STORE).get(_name(store, where)) or {})


def _name(store: str, where: str) -> str:
    return f"examined {store} {hashlib.sha256(where.encode()).hexdigest()}"
