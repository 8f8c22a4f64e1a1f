"""Settings that every store behind a client has."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from vecbridge._config._settings import Settings
from vecbridge._contract._limits import NAME


def _distinct(places: dict[str, str]) -> dict[str, str]:
    for name, place in places.items():
        if NAME.fullmatch(name) is None:
            raise ValueError(f"{name!r} is no name of an index")
        if not place or "\0" in place:
            raise ValueError(f"index {name!r} has no name in the store")
    if len({*places.values()}) < len(places):
        raise ValueError("two indexes have one name in the store: dropping one would drop both")
    return places


GivenNames = Annotated[dict[str, str], AfterValidator(_distinct)]
"""Names in the store, by names of indexes, that the user gives; no two are the same."""


class RemoteSettings(Settings):
    """How long calls may take, and how many at a time.

    Attributes:
        timeout: seconds that one call may take, connecting included.
        retry_timeout: seconds for which a call is retried while the store is away, starting or
            busy; 0 to try once. The first connection is tried once in any case.
    """

    timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    retry_timeout: float = Field(default=60.0, ge=0, allow_inf_nan=False)
