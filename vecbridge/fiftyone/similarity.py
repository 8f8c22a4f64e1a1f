"""The classes that FiftyOne stores by name.

Every saved similarity run holds the dotted path of its configuration and index classes, so
**these paths are stable**: they are never renamed or moved.

* ``vecbridge.fiftyone.similarity.MilvusSimilarityConfig`` for FiftyOne's backend ``milvus``
* ``vecbridge.fiftyone.similarity.SklearnSimilarityConfig`` for ``vecbridge_sklearn``
* ``vecbridge.fiftyone.similarity.<Name>SimilarityConfig`` for any other installed backend, made
  when it is asked for: ``my_store`` is configured by ``MyStoreSimilarityConfig``. Where FiftyOne
  has a backend of that name too, the class takes FiftyOne's parameters

To use a backend without a line of code, name its class in the environment or under
``similarity_backends`` in ``brain_config.json``::

    FIFTYONE_BRAIN_SIMILARITY_MILVUS_CONFIG_CLS=vecbridge.fiftyone.similarity.MilvusSimilarityConfig
"""

from __future__ import annotations

import hashlib
import re
import sys
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

import fiftyone.brain.similarity as fbs

from vecbridge import InvalidArgumentError
from vecbridge.fiftyone import _embedding as embedding
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._embedder import PartSizes
from vecbridge.fiftyone._index import BackendSimilarityIndex
from vecbridge.fiftyone._registration import backend_of, method_of
from vecbridge.fiftyone._same_names import SAME_NAMES, SameName
from vecbridge.fiftyone._stores import ACCESS, setting_names
from vecbridge.remote import storage_name

__all__ = [
    "MilvusSimilarity",
    "MilvusSimilarityConfig",
    "MilvusSimilarityIndex",
    "SameNameSimilarityConfig",
    "SklearnSimilarity",
    "SklearnSimilarityConfig",
    "SklearnSimilarityIndex",
    "connect_default",
]

_ALIAS = "default"
_LONGEST_WORDS = 240
_INDEX_NAME = re.compile("[A-Za-z_][A-Za-z0-9_]*")


class BackendSimilarity(fbs.Similarity):  # type: ignore[misc]
    """Make similarity indexes in a vecbridge backend.

    FiftyOne registers a run before it computes anything, so that a failure leaves a run without
    results, which cannot be loaded and which holds its key. Here the run is registered when its
    results are saved: a failed ``compute_similarity`` leaves the dataset as it was.

    Args:
        config: configuration of the runs.
    """

    index_type: ClassVar[type[BackendSimilarityIndex]]
    """The class of the indexes that this makes."""

    part_sizes: ClassVar[PartSizes] = PartSizes()
    """Numbers of samples that are embedded before their embeddings are written."""

    def __init__(self, config: BackendSimilarityConfig) -> None:
        super().__init__(config)
        self._unregistered: str | None = None
        self._attempt: embedding.Attempt | None = None

    def ensure_requirements(self) -> None:
        """Import the backend.

        Raises:
            UnknownBackendError: it is not installed.
            MissingDependencyError: a package that it needs is not.
        """
        setting_names(self.config.backend_name)

    ensure_usage_requirements = ensure_requirements

    def register_run(
        self, samples: Any, key: str | None, overwrite: bool = True, cleanup: bool = True
    ) -> None:
        """Check the key; the run is registered together with its results.

        Raises:
            ValueError: the key is unusable or taken.
        """
        if key is None:
            return
        self.validate_run(samples, key, overwrite=overwrite)
        self._unregistered = key

    def initialize(self, samples: Any, brain_key: str | None) -> BackendSimilarityIndex:
        """Return an index; one that already exists in the backend is used as it is.

        Raises:
            ValueError: ``patches_field`` is not a field of labels.
            SchemaMismatchError: the index exists with another metric.
            BackendError: the store cannot be used.
        """
        if self.config.patches_field is not None:
            # FiftyOne would find out at the first query, when the run is saved.
            samples._get_label_field_path(self.config.patches_field, "id")
        self.config.complete()
        self._attempt = embedding.Attempt(samples._root_dataset, brain_key, self.config)
        index = self.index_type(samples, self.config, brain_key, backend=self)
        # A store that cannot be used should say so before hours of embedding.
        if index.total_index_size:
            index.records.look_at_lengths()
        embedding.expect(index, self._attempt, self.part_sizes)
        return index

    @classmethod
    def save_run_results(
        cls,
        samples: Any,
        key: str | None,
        run_results: Any,
        overwrite: bool = True,
        cache: bool = True,
    ) -> None:
        """Save the results of a run, and register the run if that was put off."""
        embedding.forget()
        factory: Any = getattr(run_results, "backend", None)
        if factory is not None and key is not None and factory._unregistered == key:
            factory._unregistered = None
            run_results.config.owner = str(samples._root_dataset._doc.id)
            super(BackendSimilarity, factory).register_run(samples, key, overwrite=False)
        super().save_run_results(samples, key, run_results, overwrite=overwrite, cache=cache)
        if factory is not None and factory._attempt is not None:
            factory._attempt.end()


class SameNameSimilarityConfig(BackendSimilarityConfig):
    """Configuration of a similarity index, with the parameters of FiftyOne's own backend.

    Args:
        collection_name: name of the index in the backend; by default one is made from the store's
            name, or from the names of the dataset and the run.
        metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``.
        kwargs: as for every backend, plus FiftyOne's parameter that names the index in the store,
            such as ``table_name``. That name may be one that no index can have, such as
            ``fiftyone-quickstart``; by default it is the index's own.

    Raises:
        InvalidArgumentError: the store has no such names.
    """

    same_name: ClassVar[SameName]
    """What is FiftyOne's in the backend."""

    def __init_subclass__(cls) -> None:
        cls.same_name = about = SAME_NAMES[cls.method_name]
        cls.default_metric = about.metric
        cls.default_consistency = about.consistency_level
        cls.unused = about.unused
        cls.kept_settings = about.kept | set(filter(None, [about.names_setting]))
        if about.index_parameter != "collection_name":
            setattr(cls, about.index_parameter, SameNameSimilarityConfig.stored_name)

    def __init__(
        self, collection_name: str | None = None, metric: str | None = None, **kwargs: Any
    ) -> None:
        parameter, setting = self.same_name.index_parameter, self.same_name.names_setting
        given = {"collection_name": collection_name, **kwargs}
        stored = given.pop(parameter, None)
        index = given.pop("collection_name", None)
        if setting is None:
            index = stored
        elif stored is not None:
            stored = str(stored)
            if not 0 < len(stored.encode()) <= self.same_name.longest_name:
                raise InvalidArgumentError(
                    f"{parameter} has 1 to {self.same_name.longest_name} bytes in "
                    f"{self.same_name.store}; got {len(stored.encode())}"
                )
            index = index or _index_for(stored)
            if stored != index:
                given[setting] = {**given.get(setting, {}), index: stored}
        super().__init__(index, metric, **given)

    @property
    def stored_name(self) -> str | None:
        """The name that the store has for the index; ``None`` until the index has one."""
        index, setting = self.collection_name, self.same_name.names_setting
        if index is None or setting is None:
            return index
        named: dict[str, str] = getattr(self.resolved(), setting)
        return named.get(index, storage_name(index, longest=self.same_name.longest_name))

    @property
    def options(self) -> dict[str, Any]:
        """The settings that lead to the store, and to the metric where that does not say it."""
        said = {} if self.same_name.tells_metric else {"metric": self.metric}
        return {**super().options, **said}


class MilvusSimilarityConfig(SameNameSimilarityConfig):
    """Configuration of a similarity index in Milvus, with FiftyOne's parameters and defaults."""

    backend_name = "milvus"
    method_name = "milvus"


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


def connect_default(settings: Any) -> None:
    """Connect pymilvus's default alias to the server of an index, unless it is connected already.

    FiftyOne's adapter does this for a server that needs no settings, and its documentation goes on
    to use ``pymilvus.utility``. Here it is done for every server that needs no credentials:
    credentials are for the index alone.

    Args:
        settings: of the Milvus backend.
    """
    if not settings.uri.startswith(("http://", "tcp:")):
        return
    if any(getattr(settings, name, None) for name in ACCESS if name != "db_name"):
        return
    # The backend has imported pymilvus, whose old interface is gone from 3.1 on.
    connections = getattr(sys.modules.get("pymilvus"), "connections", None)
    if connections is None:
        return
    with warnings.catch_warnings():
        # pymilvus warns the script that uses this interface; connecting for it should not warn too.
        warnings.simplefilter("ignore")
        if not connections.has_connection(_ALIAS):
            connections.connect(_ALIAS, uri=settings.uri, db_name=settings.db_name or "")


def _index_for(stored: str) -> str:
    """Return the name of the index that a store has under a name: no two have the same one."""
    if _INDEX_NAME.fullmatch(stored):
        return stored
    digest = hashlib.blake2b(stored.encode(), digest_size=4).hexdigest()
    words = "_".join(re.findall("[A-Za-z0-9]+", stored))[:_LONGEST_WORDS]
    return f"{words}_{digest}" if words[:1].isalpha() else f"_{words}_{digest}"


def _own_object(find: Callable[[Any, str | None], Any]) -> property:
    """Return an attribute of an index that is the store's own, for a script that asks for it."""

    def found(index: BackendSimilarityIndex) -> Any:
        link, name = index.store.backend.link, index.config.stored_name  # type: ignore[attr-defined]
        return link.run("client", lambda client: find(client, name))

    return property(found)


def __getattr__(name: str) -> Any:
    """Make the three classes of another backend when one of them is asked for."""
    backend = backend_of(name)
    if backend is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    stem = name.partition("Similarity")[0]
    about = {"__module__": __name__, "__doc__": f"Similarity indexes in backend {backend!r}."}
    own = SAME_NAMES[backend].objects if backend in SAME_NAMES else {}
    objects = {each: _own_object(find) for each, find in own.items()}
    index = type(f"{stem}SimilarityIndex", (BackendSimilarityIndex,), {**about, **objects})
    factory = type(f"{stem}Similarity", (BackendSimilarity,), {**about, "index_type": index})
    names = {"backend_name": backend, "method_name": method_of(backend)}
    base = SameNameSimilarityConfig if backend in SAME_NAMES else BackendSimilarityConfig
    config = type(f"{stem}SimilarityConfig", (base,), {**about, **names})
    globals().update({made.__name__: made for made in (index, factory, config)})
    return globals()[name]
