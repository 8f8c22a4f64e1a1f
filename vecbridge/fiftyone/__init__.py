"""Every vecbridge backend as a FiftyOne similarity backend.

    >>> import vecbridge.fiftyone
    >>> vecbridge.fiftyone.enable()  # doctest: +SKIP
    >>> options = {"backend": "milvus", "metric": "cosine", "brain_key": "similar"}
    >>> fob.compute_similarity(dataset, **options)  # doctest: +SKIP

In every process from now on, the App's server too, without a line of code: run
``vecbridge fiftyone enable``, or set an environment variable::

    FIFTYONE_BRAIN_SIMILARITY_MILVUS_CONFIG_CLS=vecbridge.fiftyone.similarity.MilvusSimilarityConfig
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from vecbridge.fiftyone._persistent import disable_in_config, enable_in_config, status
from vecbridge.fiftyone._registration import disable, enable
from vecbridge.fiftyone._stores import close_stores

if TYPE_CHECKING:
    from vecbridge.fiftyone._adopt import Adopted, adopt
    from vecbridge.fiftyone._moving import Moved, move
    from vecbridge.fiftyone._orphans import Orphan, Orphans, orphans
    from vecbridge.fiftyone._sync import SyncPlan

__all__ = [
    "Adopted",
    "Moved",
    "Orphan",
    "Orphans",
    "SyncPlan",
    "adopt",
    "close_stores",
    "disable",
    "disable_in_config",
    "enable",
    "enable_in_config",
    "move",
    "orphans",
    "status",
]

_NEEDS_FIFTYONE = {
    **dict.fromkeys(("Adopted", "adopt"), "_adopt"),
    **dict.fromkeys(("Moved", "move"), "_moving"),
    **dict.fromkeys(("Orphan", "Orphans", "orphans"), "_orphans"),
    "SyncPlan": "_sync",
}
"""The modules that import FiftyOne, which takes seconds and opens its database."""


def __getattr__(name: str) -> Any:
    """Import what needs FiftyOne only when it is asked for."""
    if name in _NEEDS_FIFTYONE:
        return getattr(import_module(f"vecbridge.fiftyone.{_NEEDS_FIFTYONE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
