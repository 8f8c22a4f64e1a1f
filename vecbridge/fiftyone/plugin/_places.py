"""Where the index of a brain run lives, said without a secret, and opened."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fiftyone.core.brain import BrainMethod

from vecbridge._client import Index, Store
from vecbridge._config._registry import describe_settings
from vecbridge._errors import InvalidArgumentError, VecbridgeError
from vecbridge._redaction import redacted
from vecbridge.fiftyone import _settings as settings
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._stores import shared_store

_WHERE = ("uri", "path")
_OWN = "fiftyone.brain.internal.core."


@dataclass(frozen=True)
class Run:
    """A similarity run of a dataset.

    Attributes:
        key: its brain key.
        config: its configuration, with what is configured in this process.
        store: the kind of store, in a word or two.
        where: its address or path; holds no secret.
    """

    key: str
    config: Any
    store: str
    where: str

    @property
    def ours(self) -> bool:
        """Whether vecbridge can open it."""
        return isinstance(self.config, BackendSimilarityConfig)

    @property
    def collection(self) -> str:
        """Name of its index in the store."""
        return getattr(self.config, "collection_name", None) or ""

    @property
    def options(self) -> dict[str, Any]:
        """The settings that lead to its store, where they are not configured elsewhere."""
        return settings.with_default_path(self.config.backend_name, self.config.given)


def similarity_runs(dataset: Any) -> list[Run]:
    """The similarity runs of a dataset, by key. Nothing is connected to."""
    found = []
    for key in sorted(dataset.list_brain_runs()):
        config = BrainMethod.get_run_info(dataset, key).config
        if "imilarity" in str(config.cls):
            found.append(_run(key, config))
    return found


def find_run(dataset: Any, key: str) -> Run:
    """The run with a key.

    Raises:
        InvalidArgumentError: there is none, or vecbridge cannot open it.
    """
    for run in similarity_runs(dataset):
        if run.key == key:
            if not run.ours:
                raise InvalidArgumentError(
                    f"{key!r} is kept by {run.store}: switch it to a store of vecbridge's first"
                )
            return run
    raise InvalidArgumentError(f"the dataset has no similarity index {key!r} any more: refresh")


@contextmanager
def opened(run: Run, **options: Any) -> Iterator[Index]:
    """The index of a run, while the block lasts.

    Args:
        run: a run of vecbridge's.
        options: settings that are to be others.
    """
    if not run.collection:
        raise InvalidArgumentError(f"nothing was added to {run.key!r} yet")
    store = shared_store(run.config.backend_name, {**run.options, **options})
    with store.open_index(run.collection, metric=run.config.metric) as index:
        yield index


def target(backend: str, place: str) -> tuple[Store, dict[str, Any]]:
    """The store that a person names in a form, and the options that lead to it.

    Args:
        backend: name of the backend.
        place: a path or an address; empty for the configured one.

    Raises:
        InvalidArgumentError: the address holds a password, which would be stored, or the path is
            relative, to a folder that a person in a browser does not see.
    """
    options: dict[str, Any] = {}
    if place:
        if redacted(place) != place:
            raise InvalidArgumentError(
                "an address with a password in it would be kept by FiftyOne: set the password in "
                f"the environment (FIFTYONE_BRAIN_SIMILARITY_{backend.upper()}_PASSWORD)"
            )
        (name,) = [name for name in _WHERE if name in settings.setting_names(backend)][:1] or [""]
        if not name:
            raise InvalidArgumentError(
                f"a {backend} store has no path and no address: leave it empty"
            )
        if settings.is_local(name, place) and not Path(place).expanduser().is_absolute():
            raise InvalidArgumentError(
                f"{place!r} would be made in the folder in which the App's server was started: "
                f"give the whole path, such as {Path.home() / place}"
            )
        options[name] = settings.absolute_place(name, place)
    options = settings.with_default_path(backend, options)
    return shared_store(backend, options), options


def where(backend: str, options: Mapping[str, Any]) -> str:
    """A store's address or path, without a secret; empty where it has none."""
    try:
        described = {item.name: item.value for item in describe_settings(backend, **options)}
    except VecbridgeError:
        described = dict(options)
    for name in _WHERE:
        if described.get(name) is not None:
            return str(redacted(described[name]))
    return ""


def _run(key: str, config: Any) -> Run:
    if isinstance(config, BackendSimilarityConfig):
        backend = config.backend_name
        try:
            config.load_credentials()
            options = settings.with_default_path(backend, config.given)
        except VecbridgeError:
            # What is wrong with it is told where it is opened.
            options = config.given
        return Run(key, config, backend, where(backend, options))
    cls = str(config.cls)
    if not cls.startswith(_OWN):
        return Run(key, config, "unknown", "")
    name = cls.removeprefix(_OWN).partition(".")[0]
    return Run(key, config, f"FiftyOne's own {name}", "the dataset" if name == "sklearn" else "")
