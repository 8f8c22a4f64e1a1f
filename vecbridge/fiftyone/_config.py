"""The similarity configuration of any backend, and which of its settings a run keeps."""

from __future__ import annotations

import inspect
import logging
import os
from collections.abc import Collection, Mapping, Sequence
from typing import Any, ClassVar

import fiftyone.brain as fob
from fiftyone.brain.config import load_brain_config
from fiftyone.brain.similarity import SimilarityConfig

from vecbridge import (
    ConfigurationError,
    Metric,
    MissingDependencyError,
    Store,
    UnknownBackendError,
    UnknownSettingError,
)
from vecbridge._config._names import listed, section_names, suggestion
from vecbridge._config._registry import describe_settings
from vecbridge._contract._consistency import parse_consistency
from vecbridge._contract._metric import parse_metric
from vecbridge._contract._ranking import AGGREGATIONS
from vecbridge._redaction import quoted
from vecbridge.fiftyone._stores import (
    INDEX_LEVEL,
    PLACES,
    absolute_place,
    kept_places,
    local_places,
    lost_index_hint,
    remember,
    remembered,
    resolved_settings,
    setting_names,
    settings_of_another_store,
    shared_store,
    with_default_path,
)
from vecbridge.settings import ResolvedSetting, Settings

logger = logging.getLogger(__name__)

_FIFTYONE = frozenset(inspect.signature(SimilarityConfig.__init__).parameters) - {"self", "kwargs"}
_OWN = frozenset({"collection_name", "metric", "consistency_level", "owner", "center"})
_IGNORED = frozenset({"config_cls"})
"""FiftyOne passes the built-in's class along when the caller names another."""

_said: set[tuple[str, str]] = set()
"""Parameters without effect that this process has warned of."""


class BackendSimilarityConfig(SimilarityConfig):  # type: ignore[misc]
    """Configuration of a similarity index in a vecbridge backend.

    Only facts of the index are stored with a run: its name, metric and consistency level, and the
    file where a local backend keeps it, wherever that is configured. Every other setting is held
    privately, so no address, password, token or key reaches the database.

    Args:
        collection_name: name of the index in the backend; by default one is made from the names
            of the dataset and the run. An index that already exists is used as it is.
        metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``.
        consistency_level: the level of reads that do not name one.
        owner: the id of the dataset that the run was created for; kept with the run, never passed
            by callers.
        center: ``d`` numbers that are subtracted from every vector and query; kept with a run of
            FiftyOne's sklearn that was adopted with its ranking.
        kwargs: settings of the backend, and FiftyOne's own parameters of a similarity index.

    Raises:
        UnknownSettingError: an argument is neither.
        InvalidArgumentError: the metric or the level does not exist.
    """

    backend_name: ClassVar[str]
    """The backend's name in vecbridge."""

    method_name: ClassVar[str]
    """The backend's name in FiftyOne."""

    max_k = None
    supports_least_similarity = True
    supported_aggregations = AGGREGATIONS
    default_metric: ClassVar[Metric] = "cosine"
    default_consistency: ClassVar[str | None] = None
    unused: ClassVar[Mapping[str, str]] = {}
    """Parameters of FiftyOne's own backend of which nothing comes here, and why."""

    kept_settings: ClassVar[frozenset[str]] = frozenset()
    """Settings of the backend that are facts of one index, and no secrets: kept with a run."""

    center: Sequence[float] | None = None

    def __init__(
        self,
        collection_name: str | None = None,
        metric: str | None = None,
        consistency_level: str | None = None,
        owner: str | None = None,
        center: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> None:
        self._settings: dict[str, Any] = {}
        chosen = {"metric": metric, "consistency_level": consistency_level}
        self._chosen = {name for name, value in chosen.items() if value is not None}
        if consistency_level is not None:
            parse_consistency(consistency_level)
        given = {name: value for name, value in kwargs.items() if name not in _IGNORED}
        given = self._without_unused(given)
        own = {name: given.pop(name) for name in list(given) if name in _FIFTYONE}
        model = own.get("model")
        if model is not None and not isinstance(model, str):
            model = f"{type(model).__module__}.{type(model).__qualname__}"
        self._model_name: str | None = model
        super().__init__(**own)
        self.collection_name = None if collection_name is None else str(collection_name)
        self.owner = owner
        if center is not None:
            # Most runs have none, and keep nothing of it.
            self.center = [float(each) for each in center]
        self._is_stored = owner is not None
        self.metric: Metric = self.default_metric if metric is None else parse_metric(metric)
        self.consistency_level = (
            self.default_consistency if consistency_level is None else consistency_level
        )
        if self._is_stored:
            # The place of a stored run is its own, even where the same one is configured.
            kept = PLACES | self.kept_settings
            self._hold({name: given.pop(name) for name in kept & given.keys()})
        self._take(given)

    def __getattr__(self, name: str) -> Any:
        # Reached only where there is no such attribute: settings read as attributes do.
        if not name.startswith("_") and name in self._settings.keys() | self._setting_names():
            return self._settings.get(name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or name in _FIFTYONE | _OWN:
            super().__setattr__(name, value)
            return
        _refuse_unknown(self.backend_name, [name], self._known())
        self._settings[name] = absolute_place(name, value)

    @property
    def method(self) -> str:
        """The backend's name in FiftyOne."""
        return self.method_name

    @property
    def model_name(self) -> str | None:
        """Name of the zoo model, or the path of the class of a model that is in none."""
        return self._model_name

    @property
    def stored_name(self) -> str | None:
        """The name that the store has for the index; ``None`` until the index has one."""
        return self.collection_name

    @property
    def given(self) -> dict[str, Any]:
        """The settings that were given, not those read from where settings are configured."""
        return dict(self._settings)

    def attributes(self) -> list[str]:
        """Return the names of what is stored with the run; nothing else can be."""
        present = [name for name in vars(self) if name in _FIFTYONE | _OWN]
        return ["cls", "type", "method", *present, *self.kept]

    @property
    def kept(self) -> dict[str, Any]:
        """The settings that are kept with the run: files of this machine, facts of the index."""
        names = [*kept_places(self._settings), *sorted(self.kept_settings & self._settings.keys())]
        return {name: self._settings[name] for name in names}

    def load_credentials(self, **kwargs: Any) -> None:
        """Take settings of the backend that were not stored with the run.

        What is left out is read from the environment and ``brain_config.json``.

        Raises:
            UnknownSettingError: the backend has no such setting.
        """
        kwargs = self._without_unused(kwargs)
        if kwargs:
            _refuse_unknown(self.backend_name, kwargs, self._known())
        given = {name: value for name, value in kwargs.items() if value is not None}
        names = self._setting_names()
        section, foreign = self._section(), self._of_another_store()
        section = {name: value for name, value in section.items() if name not in foreign}
        held = {**section, **self._settings, **given}
        self._take({name: value for name, value in held.items() if name in names})
        self._hold({name: value for name, value in given.items() if name in PLACES})

    def connect(self) -> Store:
        """Return the store that is configured; it connects on first use.

        A place of this machine is kept with a new run from here on, from whatever source it came.
        """
        if not self._is_stored:
            places = local_places(self.resolved())
            self._hold({n: found for n, found in places.items() if self._settings.get(n) is None})
        return shared_store(self.backend_name, self.options)

    def lost_index_hint(self) -> str:
        """Return what a message adds where the store does not have the index of a stored run."""
        return lost_index_hint(self.backend_name, self._settings) if self._is_stored else ""

    def resolved(self) -> Settings:
        """Return every setting of the backend, from wherever it is configured; secrets too."""
        return resolved_settings(self.backend_name, self.options)

    def given_here(self) -> list[ResolvedSetting]:
        """Return the settings that lead to the store here, and that another process lacks.

        A run is loaded with the place of this machine that is kept with it, and with what is
        configured.
        """
        later = type(self)(owner="another process", **self.kept)
        later.load_credentials()
        here = self.resolved()
        try:
            there: Any = later.resolved()
        except ConfigurationError:
            there = None
        return [
            item
            for item in describe_settings(self.backend_name, **self.options)
            if item.name not in INDEX_LEVEL
            and (there is None or getattr(here, item.name) != getattr(there, item.name))
        ]

    def found(self) -> None:
        """Note that these settings lead to the index: they hold for it in this process."""
        if self.collection_name is not None:
            remember(self.backend_name, self.collection_name, self._settings)

    def complete(self) -> None:
        """Take metric and consistency level from where settings are configured.

        FiftyOne passes on only what it knew of when it was imported.
        """
        for item in describe_settings(self.backend_name, **self._settings):
            if item.name in INDEX_LEVEL - self._chosen and item.value is not None:
                setattr(self, item.name, item.value)

    @property
    def options(self) -> dict[str, Any]:
        """The settings that lead to the store, where they are not configured elsewhere.

        ``None`` keeps what is configured for another store from this one.
        """
        given = {**remembered(self.backend_name, self.collection_name), **self._settings}
        for name in self._of_another_store():
            given.setdefault(name, None)
        return with_default_path(self.backend_name, given)

    def _of_another_store(self) -> frozenset[str]:
        """Return the names of settings that are not for the file that is kept with the run."""
        if not self._is_stored:
            return frozenset()
        return settings_of_another_store(self.backend_name, self._settings, self._section())

    def _take(self, given: Mapping[str, Any]) -> None:
        # A stored run is read with its places alone, even where its backend is not installed.
        if not given.keys() <= PLACES:
            known = self._known()
            given = self._without_other_backends(given, known)
            _refuse_unknown(self.backend_name, given, known)
        self._hold(self._set_in_this_process(given))

    def _without_unused(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values less those that FiftyOne has a use for and vecbridge does not."""
        for name in self.unused.keys() & given.keys():
            if given[name] is not None and (self.method_name, name) not in _said:
                _said.add((self.method_name, name))
                logger.warning(
                    "Parameter %r of FiftyOne's %s is not used: %s",
                    name,
                    self.method_name,
                    self.unused[name],
                )
        return {name: value for name, value in given.items() if name not in self.unused}

    def _hold(self, given: Mapping[str, Any]) -> None:
        for name, value in given.items():
            self._settings[name] = absolute_place(name, value)

    def _without_other_backends(
        self, values: Mapping[str, Any], known: Collection[str]
    ) -> dict[str, Any]:
        """Return the values less those of a backend whose name begins with this one's.

        FiftyOne takes ``FIFTYONE_BRAIN_SIMILARITY_MILVUS_LITE_TOKEN`` for a ``lite_token`` of
        ``milvus``, even where ``milvus_lite`` is a backend of its own.

        Raises:
            UnknownSettingError: such a variable belongs to no other backend.
        """
        prefix = f"FIFTYONE_BRAIN_SIMILARITY_{self.method_name.upper()}_"
        foreign = {
            name for name in values if name not in known and prefix + name.upper() in os.environ
        }
        if foreign:
            _check_configuration(self.backend_name)
        return {name: value for name, value in values.items() if name not in foreign}

    def _set_in_this_process(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values that are set in this process alone.

        FiftyOne passes on what it read from the environment and ``brain_config.json``, with its
        own guess at the types: a password ``12345`` arrives as a number. vecbridge reads both
        places itself, so such values are left to it. What a program has set in FiftyOne's
        ``brain_config`` is in neither, and overrides both.
        """
        section = self._section() if values else {}
        repeated = _shared(values, section)
        if repeated:
            others = {key: value for key, value in values.items() if key not in repeated}
            described = describe_settings(self.backend_name, **others)
            repeated &= {
                item.name for item in described if item.source.kind in ("environment", "file")
            }
        if repeated:
            repeated &= _shared(section, self._section(read_again=True))
        return {key: value for key, value in values.items() if key not in repeated}

    def _section(self, *, read_again: bool = False) -> dict[str, Any]:
        """Return FiftyOne's parameters of the backend, under any of its names.

        They are as this process has them, or as they are configured now if they are read again.
        """
        configured = (load_brain_config() if read_again else fob.brain_config).similarity_backends
        merged: dict[str, Any] = {}
        for name in (self.method_name, *section_names(self.backend_name)):
            # The settings of FiftyOne's own sklearn backend are not for vecbridge's.
            if name != "sklearn":
                merged = {**configured.get(name, {}), **merged}
        return merged

    def _setting_names(self) -> frozenset[str]:
        try:
            return setting_names(self.backend_name)
        except (UnknownBackendError, MissingDependencyError):
            return frozenset(self._settings)

    def _known(self) -> frozenset[str]:
        return setting_names(self.backend_name) | _FIFTYONE | _OWN


def _refuse_unknown(backend: str, names: Collection[str], known: Collection[str]) -> None:
    """Refuse unknown arguments, by name only: their values may be secrets.

    Raises:
        UnknownSettingError: there is one; the message names the nearest that is known.
    """
    unknown = sorted(set(names) - set(known))
    if unknown:
        # An error in the environment or in brain_config.json is reported with its place.
        _check_configuration(backend)
        found = ", ".join(f"{quoted(name)}{suggestion(name, known)}" for name in unknown)
        raise UnknownSettingError(
            f"FiftyOne similarity backend {backend!r} has no parameter {found}. "
            f"Known parameters: {listed(sorted(known))}. Nothing was stored"
        )


def _check_configuration(backend: str) -> None:
    """Refuse what is misspelled where settings are configured; values are checked on use."""
    try:
        describe_settings(backend)
    except UnknownSettingError:
        raise
    except ConfigurationError:
        return


def _shared(values: Mapping[str, Any], others: Mapping[str, Any]) -> set[str]:
    return {key for key, value in values.items() if key in others and others[key] == value}
