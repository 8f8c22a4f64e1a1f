"""The similarity configuration of any backend."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, ClassVar

from fiftyone.brain.similarity import SimilarityConfig

from vecbridge._client import Store
from vecbridge._config._registry import describe_settings
from vecbridge._config._settings import Settings
from vecbridge._contract._consistency import parse_consistency
from vecbridge._contract._metric import Metric, parse_metric
from vecbridge._contract._ranking import AGGREGATIONS
from vecbridge._errors import MissingDependencyError, UnknownBackendError
from vecbridge.fiftyone import _settings as settings
from vecbridge.fiftyone._stores import remember, remembered, resolved_settings, shared_store

_FIFTYONE = frozenset(inspect.signature(SimilarityConfig.__init__).parameters) - {"self", "kwargs"}
_OWN = frozenset({"collection_name", "metric", "consistency_level", "owner"})
_IGNORED = frozenset({"config_cls"})
"""FiftyOne passes the built-in's class along when the caller names another."""


class BackendSimilarityConfig(SimilarityConfig):  # type: ignore[misc]
    """Configuration of a similarity index in a vecbridge backend.

    Only facts of the index are stored with a run: its name, metric and consistency level, and the
    file where a local backend keeps it. Every other setting is held privately, so no address,
    password, token or key reaches the database.

    Args:
        collection_name: name of the index in the backend; by default one is made from the names
            of the dataset and the run. An index that exists already is adopted as it is.
        metric: ``"cosine"``, ``"dotproduct"`` or ``"euclidean"``.
        consistency_level: what a read sees that asks for no level.
        owner: the id of the dataset that the run was made for; kept with the run, and never given.
        kwargs: settings of the backend, and FiftyOne's own parameters of a similarity index.

    Raises:
        UnknownSettingError: an argument is neither.
        InvalidArgumentError: no such metric or level.
    """

    backend_name: ClassVar[str]
    """The backend's name in vecbridge."""

    method_name: ClassVar[str]
    """The backend's name in FiftyOne."""

    default_metric: ClassVar[Metric] = "cosine"
    default_consistency: ClassVar[str | None] = None

    def __init__(
        self,
        collection_name: str | None = None,
        metric: str | None = None,
        consistency_level: str | None = None,
        owner: str | None = None,
        **kwargs: Any,
    ) -> None:
        self._settings: dict[str, Any] = {}
        self._chosen = {
            name
            for name, value in (("metric", metric), ("consistency_level", consistency_level))
            if value is not None
        }
        if consistency_level is not None:
            parse_consistency(consistency_level)
        given = {name: value for name, value in kwargs.items() if name not in _IGNORED}
        own = {name: given.pop(name) for name in list(given) if name in _FIFTYONE}
        self._model_name = _name_of(own.get("model"))
        super().__init__(**own)
        self.collection_name = None if collection_name is None else str(collection_name)
        self.owner = owner
        self.metric = self.default_metric if metric is None else parse_metric(metric)
        self.consistency_level = (
            self.default_consistency if consistency_level is None else consistency_level
        )
        self._take(given)

    def __getattr__(self, name: str) -> Any:
        # Reached only where there is no such attribute: the backend's settings read as if.
        if not name.startswith("_") and name in self._settings:
            return self._settings[name]
        if not name.startswith("_") and name in self._setting_names():
            return None
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_") or name in _FIFTYONE | _OWN:
            super().__setattr__(name, value)
            return
        settings.refuse_unknown(self.backend_name, [name], self._known())
        self._settings[name] = settings.absolute_place(name, value)

    @property
    def method(self) -> str:
        """The backend's name in FiftyOne."""
        return self.method_name

    @property
    def model_name(self) -> str | None:
        """Name of the zoo model, or the path of the class of a model that is in none."""
        return self._model_name

    @property
    def max_k(self) -> None:
        """There is no limit."""
        return None

    @property
    def supports_least_similarity(self) -> bool:
        """Every backend ranks from the far end too."""
        return True

    @property
    def supported_aggregations(self) -> tuple[str, ...]:
        """Every aggregation, on every backend."""
        return AGGREGATIONS

    def attributes(self) -> list[str]:
        """What is stored with the run; nothing else can be."""
        present = [name for name in vars(self) if name in _FIFTYONE | _OWN]
        return ["cls", "type", "method", *present, *settings.stored_places(self._settings)]

    def load_credentials(self, **kwargs: Any) -> None:
        """Takes settings of the backend that were not stored with the run.

        Args:
            kwargs: settings; what is left out is read from the environment and
                ``brain_config.json``.

        Raises:
            UnknownSettingError: the backend has no such setting.
        """
        if kwargs:
            settings.refuse_unknown(self.backend_name, kwargs, self._known())
        given = {name: value for name, value in kwargs.items() if value is not None}
        held = {**self._section(), **self._settings, **given}
        names = self._setting_names()
        self._take({name: value for name, value in held.items() if name in names})

    def connect(self) -> Store:
        """The store that is configured; connects on first use.

        Raises:
            ConfigurationError: a setting is unusable.
            MissingDependencyError: the backend needs a package that is not installed.
        """
        return shared_store(self.backend_name, self._options())

    def resolved(self) -> Settings:
        """Every setting of the backend, from wherever it is configured; secrets too."""
        return resolved_settings(self.backend_name, self._options())

    def _options(self) -> dict[str, Any]:
        given = {**remembered(self.backend_name, self.collection_name), **self._settings}
        return settings.with_default_path(self.backend_name, given)

    @property
    def given(self) -> dict[str, Any]:
        """The settings that were given, and not read from where settings are configured."""
        return dict(self._settings)

    def found(self) -> None:
        """Says that these settings lead to the index: they hold for it in this process."""
        if self.collection_name is not None:
            remember(self.backend_name, self.collection_name, self._settings)

    def complete(self) -> None:
        """Takes metric and consistency level from where settings are configured.

        FiftyOne passes on only what it knew of when it was imported.
        """
        for item in describe_settings(self.backend_name, **self._settings):
            if item.name in settings.INDEX_LEVEL - self._chosen and item.value is not None:
                setattr(self, item.name, item.value)

    def _take(self, given: Mapping[str, Any]) -> None:
        # A stored run is read with its places alone, even where its backend is not installed.
        if not given.keys() <= settings.PLACES:
            known = self._known()
            given = settings.without_other_backends(
                self.method_name, self.backend_name, given, known
            )
            settings.refuse_unknown(self.backend_name, given, known)
        section = self._section() if given else {}
        values = settings.said_here(self.backend_name, given, section, self._configured)
        for name, value in values.items():
            self._settings[name] = settings.absolute_place(name, value)

    def _setting_names(self) -> frozenset[str]:
        try:
            return settings.setting_names(self.backend_name)
        except (UnknownBackendError, MissingDependencyError):
            return frozenset(self._settings)

    def _section(self) -> dict[str, Any]:
        return settings.fiftyone_section(self.method_name, self.backend_name)

    def _configured(self) -> dict[str, Any]:
        return settings.fiftyone_section(self.method_name, self.backend_name, afresh=True)

    def _known(self) -> frozenset[str]:
        return settings.setting_names(self.backend_name) | _FIFTYONE | _OWN


def _name_of(model: Any) -> str | None:
    if model is None or isinstance(model, str):
        return model
    return f"{type(model).__module__}.{type(model).__qualname__}"
