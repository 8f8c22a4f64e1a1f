"""What is kept with the dataset for the panel: what was done last, lags, verdicts."""

from __future__ import annotations

from typing import Any

from vecbridge.fiftyone.plugin._jobs import Told

_STORE = "vecbridge_panel"
_LAST = "last"


def keep_last(ctx: Any, told: Told) -> None:
    """Keeps what was done last, for the panel to show, whoever did it."""
    ctx.store(_STORE).set(_LAST, told.kept())


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
    return f"examined {store} {where}"
