"""FiftyOne's brain with vecbridge in it, one for the session: enabling is for a whole process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest


@pytest.fixture(scope="session")
def fob(fiftyone_env: dict[str, str]) -> Iterator[Any]:
    """``fiftyone.brain`` with vecbridge enabled."""
    import fiftyone.brain

    import vecbridge.fiftyone

    vecbridge.fiftyone.enable()
    yield fiftyone.brain
    vecbridge.fiftyone.disable()
    vecbridge.fiftyone.close_stores()
