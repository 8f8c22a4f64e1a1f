"""Settings of a backend: typed, checked, and read from where FiftyOne reads them.

Imports pydantic, which ``import vecbridge`` does not.
"""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from vecbridge._contract._consistency import Consistency
from vecbridge._contract._metric import Metric


class Settings(BaseModel):
    """Base of every backend's settings.

    Attributes:
        metric: metric of a new index where none is asked for.
        consistency_level: default level of a new index where none is asked for.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    metric: Metric | None = None
    consistency_level: Consistency | None = None
