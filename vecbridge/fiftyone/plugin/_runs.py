"""The similarity runs of a dataset: where the index of each lives, and its health.

Nothing here holds a secret. The health of all indexes is asked at once, so that a store that does
not answer delays no other.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, NamedTuple

from fiftyone.core.brain import BrainMethod

from vecbridge import (
    ConfigurationError,
    Index,
    IndexNotFoundError,
    InvalidArgumentError,
    MissingDependencyError,
    Store,
    VecbridgeError,
)
from vecbridge._config._registry import describe_settings
from vecbridge.fiftyone._builtin import builtin_backend, index_of
from vecbridge.fiftyone._collections import ids_within
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._stores import (
    absolute_place,
    is_local,
    place_setting,
    resolved_settings,
    setting_names,
    shared_store,
    with_default_path,
)
from vecbridge.settings import redacted

WHERE = ("uri", "url", "path")
"""Settings that say where a store is."""
_BUILTIN = "fiftyone.brain.internal.core."
_PATIENCE_S = 8.0
_QUICK = {"timeout": 3.0, "retry_timeout": 0.0}
_LOOKED_UP_AT_MOST_IDS = 20_000
_STORES_AT_ONCE = 8

State = Literal[
    "healthy",
    "incomplete",
    "missing",
    "misconfigured",
    "unreachable",
    "unknown",
    "FiftyOne's",
]


@dataclass(frozen=True)
class Run:
    """A similarity run of a dataset.

    Attributes:
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
        """``True`` if vecbridge can open the index."""
        return isinstance(self.config, BackendSimilarityConfig)

    @property
    def collection(self) -> str:
        """Name of the index; of FiftyOne's own backends, the store's name of it."""
        return (self.config.collection_name if self.ours else index_of(self.config)) or ""

    @property
    def options(self) -> dict[str, Any]:
        """The settings that lead to the store, where they are not configured elsewhere."""
        options: dict[str, Any] = self.config.options
        return options


def similarity_runs(dataset: Any) -> list[Run]:
    """Return the similarity runs of a dataset, by key; no store is connected to."""
    found = []
    for key in sorted(dataset.list_brain_runs()):
        config = BrainMethod.get_run_info(dataset, key).config
        if "imilarity" in str(config.cls):
            found.append(_run(key, config))
    return found


def find_run(dataset: Any, key: str, *, also_fiftyones: bool = False) -> Run:
    """Return the run with a key.

    Raises:
        InvalidArgumentError: there is none, or vecbridge can neither open nor, if FiftyOne's own
            are meant too, adopt it.
    """
    for run in similarity_runs(dataset):
        if run.key == key:
            if not (run.ours or (also_fiftyones and builtin_backend(run.config))):
                raise InvalidArgumentError(
                    f"the index of {key!r} is kept by {run.store}: switch it to a store of "
                    f"vecbridge's first"
                )
            return run
    raise InvalidArgumentError(
        f"the dataset has no similarity index {key!r} any more: refresh the panel"
    )


@contextmanager
def opened(run: Run, **options: Any) -> Iterator[Index]:
    """Open the index of a run, while the block lasts.

    ``options`` override the settings of the run, which is vecbridge's.
    """
    if not run.collection:
        raise InvalidArgumentError(f"nothing was added to {run.key!r} yet")
    store = shared_store(run.config.backend_name, {**run.options, **options})
    with store.open_index(run.collection, metric=run.config.metric) as index:
        yield index


class Target(NamedTuple):
    """A store that a user names in a form.

    Attributes:
        backend: its kind.
        place: its path or address; empty where the configured one is meant.
        settings: others that were filled in.
    """

    backend: str
    place: str = ""
    settings: Mapping[str, str] = MappingProxyType({})


def target(chosen: Target) -> tuple[Store, dict[str, Any]]:
    """Return the store that a user names in a form, and the options that lead to it.

    Raises:
        InvalidArgumentError: the address holds a password, which would be stored, or the path is
            relative to a folder that the user of a browser does not see.
    """
    backend, place, options = chosen.backend, chosen.place, dict[str, Any](chosen.settings)
    if place:
        if redacted(place) != place:
            raise InvalidArgumentError(
                "FiftyOne would store an address with its password: set the password in "
                f"the environment (FIFTYONE_BRAIN_SIMILARITY_{backend.upper()}_PASSWORD)"
            )
        name = place_setting(backend, place)
        if name is None:
            raise InvalidArgumentError(
                f"a {backend} store has no path and no address: leave this empty"
            )
        if is_local(name, place) and not Path(place).expanduser().is_absolute():
            raise InvalidArgumentError(
                f"{place!r} would be created in the folder in which the App's server was started: "
                f"give the full path, such as {Path.home() / place}"
            )
        options[name] = absolute_place(name, place)
    options = with_default_path(backend, options)
    return shared_store(backend, options), options


def where(backend: str, options: Mapping[str, Any]) -> str:
    """Return a store's address or path, without a secret; empty where it has none."""
    try:
        described = {item.name: item.value for item in describe_settings(backend, **options)}
        host = getattr(resolved_settings(backend, options), "place", "")
    except VecbridgeError:
        described, host = dict(options), ""
    for name in WHERE:
        if described.get(name) is not None:
            return str(redacted(described[name]))
    return str(redacted(host))


@dataclass(frozen=True)
class Health:
    """The health of an index, and what to do about it, without a secret."""

    state: State
    records: int | None = None
    dimension: int | None = None
    advice: str = ""


def examine(dataset: Any, runs: Sequence[Run], patience: float = _PATIENCE_S) -> list[Health]:
    """Return the health of the index of each run, all asked at the same time.

    A store that does not answer within ``patience`` seconds counts as unreachable.
    """
    pool = ThreadPoolExecutor(_STORES_AT_ONCE, thread_name_prefix="vecbridge-health")
    asked = [pool.submit(_health, dataset, run) for run in runs]
    wait(asked, timeout=patience)
    # A store that hangs is left to its own timeout.
    pool.shutdown(wait=False, cancel_futures=True)
    return [_answer(future, run, patience) for future, run in zip(asked, runs, strict=True)]


def _run(key: str, config: Any) -> Run:
    if isinstance(config, BackendSimilarityConfig):
        backend = config.backend_name
        try:
            config.load_credentials()
            options = config.options
        except VecbridgeError:
            # The error is reported when the index is opened.
            options = config.given
        return Run(key, config, backend, where(backend, options))
    cls = str(config.cls)
    if not cls.startswith(_BUILTIN):
        return Run(key, config, "unknown", "")
    name = cls.removeprefix(_BUILTIN).partition(".")[0]
    return Run(key, config, f"FiftyOne's own {name}", "the dataset" if name == "sklearn" else "")


def _health(dataset: Any, run: Run) -> Health:
    if not run.ours and builtin_backend(run.config) is None:
        return Health(
            "unknown",
            advice="vecbridge cannot open it: install the package that made it, or compute the "
            "similarity again with a vecbridge backend.",
        )
    if not run.ours:
        return Health(
            "FiftyOne's",
            advice=f"It is kept by {run.store}. Switch store moves it to vecbridge; the key stays.",
        )
    try:
        return _looked_at(dataset, run)
    except IndexNotFoundError:
        return Health(
            "missing",
            advice=f"The store answers, but has no index {run.collection!r}. It was deleted, or "
            f"the settings lead to another store. Compute the similarity again, or delete the run.",
        )
    except VecbridgeError as error:
        # Calling a store that was not asked unreachable would send the user to the network.
        unasked = isinstance(error, (ConfigurationError, MissingDependencyError))
        return Health("misconfigured" if unasked else "unreachable", advice=str(error))


def _looked_at(dataset: Any, run: Run) -> Health:
    names = setting_names(run.config.backend_name)
    quick = {name: value for name, value in _QUICK.items() if name in names}
    with opened(run, **quick) as index:
        records, dimension = index.count(), index.info.dimension
        wanted = ids_within(dataset, run.config.patches_field)[1].tolist()
        if len(wanted) <= _LOOKED_UP_AT_MOST_IDS:
            there = int(index.contains(wanted).sum()) if wanted else 0
        else:
            there = min(records, len(wanted))
    missing, foreign = len(wanted) - there, records - there
    advice = []
    what = "samples" if run.config.patches_field is None else "patches"
    if missing > 0:
        advice.append(
            f"{missing:,} of {len(wanted):,} {what} of the dataset are not in it: Sync adds them, "
            f"if the run has a model or a field of embeddings."
        )
    if foreign > 0:
        advice.append(
            f"It holds {foreign:,} records of {what} that the dataset does not have: Sync removes "
            f"them."
        )
    return Health("incomplete" if advice else "healthy", records, dimension, " ".join(advice))


def _answer(future: Future[Health], run: Run, patience: float) -> Health:
    if not future.done():
        return Health(
            "unreachable",
            advice=f"{run.where or run.store} did not answer in {patience:.0f} s: is it running, "
            f"and can this machine reach it? Refresh when it is back.",
        )
    error = future.exception()
    if error is None:
        return future.result()
    # The message of an unexpected error may hold a secret: only its kind is shown.
    return Health(
        "unknown",
        advice=f"It could not be examined ({type(error).__name__}). "
        f"Run `vecbridge doctor {run.store}` to find out more.",
    )
