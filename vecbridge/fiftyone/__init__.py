"""Every vecbridge backend as a FiftyOne similarity backend.

    >>> import vecbridge.fiftyone
    >>> vecbridge.fiftyone.enable()  # doctest: +SKIP
    >>> fob.compute_similarity(dataset, backend="milvus", brain_key="similar")  # doctest: +SKIP

Without a line of code, by environment variable::

    FIFTYONE_BRAIN_SIMILARITY_MILVUS_CONFIG_CLS=vecbridge.fiftyone.similarity.MilvusSimilarityConfig
"""

from __future__ import annotations

from vecbridge.fiftyone._registration import disable, enable
from vecbridge.fiftyone._stores import close_stores

__all__ = ["close_stores", "disable", "enable"]
