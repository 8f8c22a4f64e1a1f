"""Indexes that no run has any more: found in the stores, and dropped where they were made here."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import eta.core.utils as etau
import fiftyone.core.odm as foo

from vecbridge import (
    ConfigurationError,
    MissingDependencyError,
    Store,
    UnknownBackendError,
    VecbridgeError,
)
from vecbridge._config._registry import describe_settings
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._names import PREFIX, is_made_here
from vecbridge.fiftyone._registration import MODULE, chosen_backends
from vecbridge.fiftyone._stores import (
    PLACES,
    is_local,
    local_places,
    resolved_settings,
    shared_store,
    with_default_path,
)
from vecbridge.settings import ResolvedSetting


@dataclass(frozen=True)
class Orphan:
    """An index that no run in this FiftyOne database uses.

    Attributes:
        backend: of its store.
        name: its name there.
        records: how many it holds; ``None`` where it cannot be opened.
        made_here: it was created for a run of a dataset in this database. Of other indexes it is
            known only that no run here uses them; another database may.
        dropped: whether it was dropped.
    """

    backend: str
    name: str
    records: int | None
    made_here: bool
    dropped: bool = False


@dataclass(frozen=True)
class Orphans:
    """The indexes without a run that were found in the stores.

    Attributes:
        found: the indexes that have no run.
        looked_into: the stores that were searched, by backend and place, without server addresses.
        unreachable: why a store could not be searched, one line per store.
    """

    found: tuple[Orphan, ...]
    looked_into: tuple[str, ...]
    unreachable: tuple[str, ...]


def orphans(backend: str | None = None, *, drop: bool = False, **options: Any) -> Orphans:
    """Find the indexes that no run uses any more, and drop those that were created here.

    The run of an index may be deleted, or its dataset, or it may have moved to another store. An
    index is found if it has a name of the kind that FiftyOne or vecbridge gives to new ones, and no
    run, finished or not, names it. It is dropped only if its name shows that it was created for a
    run of this database; indexes named by another database, another program or a user stay. A
    complete copy of a database is taken for the original.

    Args:
        backend: search this store; by default, those that runs lead to and those that are
            configured.
        drop: drop what was created here. Do not compute a similarity at the same time: its run is
            saved only at the end.
        options: settings of the store.

    Raises:
        UnknownBackendError: the backend is not installed.
        BackendError: the store that was named cannot be reached, or a drop failed.
    """
    found: list[Orphan] = []
    looked_into: list[str] = []
    unreachable: list[str] = []
    seen: list[Store] = []
    for name, settings in _candidates(backend, options):
        try:
            store = shared_store(name, settings)
            if any(store is each for each in seen):
                continue
            seen.append(store)
            alone = [each for each in store.index_names() if each.startswith(PREFIX)]
        except VecbridgeError as error:
            if backend is not None:
                raise
            unreachable.append(f"{name}: {error}")
            continue
        places = local_places(resolved_settings(name, settings)).values()
        looked_into.append(" in ".join([name, *places]))
        found += [_looked_at(name, store, each, drop) for each in alone if not has_run(each)]
    return Orphans(tuple(found), tuple(looked_into), tuple(unreachable))


def has_run(name: str) -> bool:
    """Return whether a run of a dataset, or the note of an unfinished one, names an index."""
    database = foo.get_db_conn()
    runs = database.runs.find({"config.collection_name": name}, {"_dataset_id": 1})
    owners = [each.get("_dataset_id") for each in runs]
    # A run may outlive its dataset, if FiftyOne is killed as it deletes that.
    return bool(database.datasets.count_documents({"_id": {"$in": owners}}, limit=1))


def _looked_at(backend: str, store: Store, name: str, drop: bool) -> Orphan:
    try:
        with store.open_index(name) as index:
            records = index.count()
    except VecbridgeError:
        records = None
    made_here = is_made_here(name)
    dropped = drop and made_here and not has_run(name)
    if dropped:
        store.drop_index(name)
    return Orphan(backend, name, records, made_here, dropped)


def _candidates(
    backend: str | None, options: dict[str, Any]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the backend and the settings of each store to look into; some may be the same."""
    if backend is not None:
        (chosen,) = chosen_backends(backend)
        yield chosen, with_default_path(chosen, options)
        return
    yield from _of_runs()
    for name in chosen_backends(None):
        try:
            settings = with_default_path(name, {})
            items = [item for item in describe_settings(name, **settings) if item.name in PLACES]
        except (ConfigurationError, MissingDependencyError):
            continue
        if any(map(_is_there, items)):
            yield name, settings


def _of_runs() -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield what leads to the store of each run."""
    wanted = {"config.cls": {"$regex": f"^{MODULE}[.]"}}
    seen = set()
    for document in foo.get_db_conn().runs.find(wanted, {"config": 1}):
        stored = document["config"]
        kept = {name: stored[name] for name in PLACES if stored.get(name) is not None}
        if (stored["cls"], *sorted(kept.items())) in seen:
            continue
        seen.add((stored["cls"], *sorted(kept.items())))
        config: BackendSimilarityConfig = etau.get_class(stored["cls"])(owner="a run", **kept)
        try:
            config.load_credentials()
            yield config.backend_name, config.options
        except (ConfigurationError, MissingDependencyError, UnknownBackendError):
            # Its backend is not installed any more, or not configured: there is no store to ask.
            continue


def _is_there(place: ResolvedSetting) -> bool:
    """Return whether a configured place is one to look into: not a default that was never used."""
    if is_local(place.name, str(place.value)):
        return Path(str(place.value)).exists()
    return place.source.kind != "default"
