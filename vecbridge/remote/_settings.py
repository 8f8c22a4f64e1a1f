"""Settings that every store behind a client has."""

from __future__ import annotations

from pydantic import Field

from vecbridge._config._settings import Settings


class RemoteSettings(Settings):
    """How long calls may take, and how many at a time.

    Attributes:
        timeout: seconds that one call may take, connecting included.
        retry_timeout: seconds that a call goes on trying while the store is away, starting or
            busy; 0 to try once. The first connection is tried once in any case.
    """

    timeout: float = Field(default=30.0, gt=0, allow_inf_nan=False)
    retry_timeout: float = Field(default=60.0, ge=0, allow_inf_nan=False)
