"""The classes that FiftyOne stores by name.

Every saved similarity run holds the dotted path of its configuration and index classes, so
**these paths are stable**: they are never renamed or moved.

* ``vecbridge.fiftyone.similarity.MilvusSimilarityConfig`` for FiftyOne's backend ``milvus``
* ``vecbridge.fiftyone.similarity.SklearnSimilarityConfig`` for ``vecbridge_sklearn``
* ``vecbridge.fiftyone.similarity.<Name>SimilarityConfig`` for any other installed backend, made
  when it is asked for: ``my_store`` is configured by ``MyStoreSimilarityConfig``

To reach a backend without a line of code, name its class in the environment or under
``similarity_backends`` in ``brain_config.json``::

    FIFTYONE_BRAIN_SIMILARITY_MILVUS_CONFIG_CLS=vecbridge.fiftyone.similarity.MilvusSimilarityConfig
"""

from __future__ import annotations

from typing import Any

from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._factory import BackendSimilarity
from vecbridge.fiftyone._index import BackendSimilarityIndex
from vecbridge.fiftyone._pymilvus import connect_default
from vecbridge.fiftyone._registration import backend_of, method_of

__all__ = [
    "MilvusSimilarity",
    "MilvusSimilarityConfig",
    "MilvusSimilarityIndex",
    "SklearnSimilarity",
    "SklearnSimilarityConfig",
    "SklearnSimilarityIndex",
]


class MilvusSimilarityConfig(BackendSimilarityConfig):
    """Configuration of a similarity index in Milvus, with FiftyOne's parameters and defaults."""

    backend_name = "milvus"
    method_name = "milvus"
    default_metric = "dotproduct"
    default_consistency = "Session"


class MilvusSimilarityIndex(BackendSimilarityIndex):
    """A similarity index in Milvus."""

    @property
    def collection(self) -> Any:
        """The store's own object for the index, or ``None`` where it does not exist.

        pymilvus's default alias is then connected to the server too, unless it is connected
        already or the server asks for credentials.
        """
        found = super().collection
        if found is not None:
            connect_default(self.config.resolved())
        return found


class MilvusSimilarity(BackendSimilarity):
    """Make similarity indexes in Milvus."""

    index_type = MilvusSimilarityIndex


class SklearnSimilarityConfig(BackendSimilarityConfig):
    """Configuration of a similarity index in vecbridge's scikit-learn backend."""

    backend_name = "sklearn"
    method_name = "vecbridge_sklearn"


class SklearnSimilarityIndex(BackendSimilarityIndex):
    """A similarity index in vecbridge's scikit-learn backend."""


class SklearnSimilarity(BackendSimilarity):
    """Make similarity indexes in vecbridge's scikit-learn backend."""

    index_type = SklearnSimilarityIndex


def __getattr__(name: str) -> Any:
    """Make the three classes of another backend when one of them is asked for."""
    backend = backend_of(name)
    if backend is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    stem = name.partition("Similarity")[0]
    about = {"__module__": __name__, "__doc__": f"Similarity indexes in backend {backend!r}."}
    index = type(f"{stem}SimilarityIndex", (BackendSimilarityIndex,), dict(about))
    globals()[index.__name__] = index
    factory = type(f"{stem}Similarity", (BackendSimilarity,), {**about, "index_type": index})
    globals()[factory.__name__] = factory
    names = {"backend_name": backend, "method_name": method_of(backend)}
    config = type(f"{stem}SimilarityConfig", (BackendSimilarityConfig,), {**about, **names})
    globals()[config.__name__] = config
    return globals()[name]
