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

from typing import TYPE_CHECKING, Any

from vecbridge.fiftyone._persistent import disable_in_config, enable_in_config, status
from vecbridge.fiftyone._registration import disable, enable
from vecbridge.fiftyone._stores import close_stores

if TYPE_CHECKING:
    from vecbridge.fiftyone._adopt import Adopted, adopt

__all__ = [
    "Adopted",
    "adopt",
    "close_stores",
    "disable",
    "disable_in_config",
    "enable",
    "enable_in_config",
    "status",
]


def __getattr__(name: str) -> Any:
    """Import FiftyOne, which takes seconds and opens its database, only when it is needed."""
    if name in {"Adopted", "adopt"}:
        from vecbridge.fiftyone import _adopt

        return getattr(_adopt, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
