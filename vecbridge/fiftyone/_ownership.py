"""Whose index it is that a run names.

A clone of a dataset, and an import of one, has the runs of the original, which name the original's
indexes. Two runs may also name the same ``collection_name``. All of them may read the index; only
the owner may write to it or drop it.

A run keeps the id of the dataset that it was made for, which a clone and an import do not have.
Among runs that may both be meant, such as two of one dataset, the older one owns the index: the ids
of FiftyOne's documents tell which that is, and do not change when a run or a dataset is renamed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import fiftyone.core.odm as foo

from vecbridge import InvalidArgumentError
from vecbridge.fiftyone._config import BackendSimilarityConfig
from vecbridge.fiftyone._stores import PLACES


@dataclass(frozen=True)
class Reference:
    """A run whose configuration names an index, by the ids of its document and its dataset.

    The dataset that it was ``made_for`` is ``None`` if that was not kept.
    """

    document: Any
    dataset: str
    key: str
    dataset_name: str
    made_for: str | None

    def __str__(self) -> str:
        return f"run {self.key!r} of dataset {self.dataset_name!r}"

    @property
    def may_own(self) -> bool:
        """``True`` unless the run is known to be made for another dataset."""
        return self.made_for in {None, self.dataset}


def refuse_foreign(
    config: BackendSimilarityConfig, dataset: Any, key: str | None, action: str
) -> None:
    """Refuse to change an index that is another run's.

    ``config``, ``dataset`` and ``key`` are of the run that wants to; it may have no key.

    Raises:
        InvalidArgumentError: the index is another's; nothing was changed.
    """
    if config.collection_name is None:
        return
    here = str(dataset._doc.id)
    if config.owner is not None and config.owner != here:
        raise InvalidArgumentError(
            f"cannot {action}: the index {config.collection_name!r} was made for another dataset, "
            f"of which {dataset.name!r} is a clone or an import. {_what_to_do(dataset, key)}"
        )
    mine, others = _references(config, here, key)
    for other in others:
        if other.may_own and (mine is None or other.document < mine.document):
            raise InvalidArgumentError(
                f"cannot {action}: the index {config.collection_name!r} is that of {other}. "
                f"{_what_to_do(dataset, key)}"
            )


def is_foreign(config: BackendSimilarityConfig, dataset: Any, key: str | None) -> bool:
    """Return whether the index is another run's."""
    try:
        refuse_foreign(config, dataset, key, "change the index")
    except InvalidArgumentError:
        return True
    return False


def refuse_shared(
    config: BackendSimilarityConfig, dataset: Any, key: str | None, action: str
) -> None:
    """Refuse to drop an index that is another run's, or to which another run refers.

    Raises:
        InvalidArgumentError: it is; nothing was changed.
    """
    refuse_foreign(config, dataset, key, action)
    if config.collection_name is None:
        return
    _, others = _references(config, str(dataset._doc.id), key)
    if others:
        raise InvalidArgumentError(
            f"cannot {action}: {' and '.join(map(str, others[:3]))} "
            f"{'refers' if len(others) == 1 else 'refer'} to the index "
            f"{config.collection_name!r} too. Give each an index of its own, with detach() of what "
            f"load_brain_results() returns, or delete those runs with delete_brain_run(). Nothing "
            f"was changed"
        )


def readers_of(config: BackendSimilarityConfig, dataset: Any, key: str | None) -> list[str]:
    """Return the other runs that refer to the index of a run, as a user knows them."""
    if config.collection_name is None:
        return []
    return [str(each) for each in _references(config, str(dataset._doc.id), key)[1]]


def _what_to_do(dataset: Any, key: str | None) -> str:
    if key is None or not dataset.has_brain_run(key):
        return "Give another collection_name. Nothing was changed"
    return (
        f"This run can read it. For an index of its own, which it may change, copy it: "
        f"dataset.load_brain_results({key!r}).detach(). To delete only the run: "
        f"dataset.delete_brain_run({key!r}). Nothing was changed"
    )


def _references(
    config: BackendSimilarityConfig, dataset: str, key: str | None
) -> tuple[Reference | None, list[Reference]]:
    """Return the run itself, if it is registered, and all others of its index, oldest first."""
    every = sorted(_named_alike(config), key=lambda reference: reference.document)
    others = [each for each in every if (each.dataset, each.key) != (dataset, key)]
    return next((each for each in every if each not in others), None), others


def _named_alike(config: BackendSimilarityConfig) -> Iterator[Reference]:
    """Read every run that names this index: the same name in, as far as is known, one store."""
    database, here = foo.get_db_conn(), _places(config.serialize())
    wanted = {"config.collection_name": config.collection_name, "config.type": "similarity"}
    for document in database.runs.find(wanted, {"config": 1, "key": 1, "_dataset_id": 1}):
        stored = document["config"]
        if _places(stored) != here or (not here and stored.get("method") != config.method):
            continue
        dataset = database.datasets.find_one({"_id": document.get("_dataset_id")}, {"name": 1})
        # A run may outlive its dataset, if FiftyOne is killed as it deletes that.
        if dataset is not None:
            key, made_for = str(document.get("key")), stored.get("owner")
            yield Reference(document["_id"], str(dataset["_id"]), key, dataset["name"], made_for)


def _places(stored: Mapping[str, Any]) -> set[str]:
    """Return the files that a run's configuration names, with links resolved."""
    named = (str(stored[name]) for name in PLACES if stored.get(name) is not None)
    return {place if place == ":memory:" else os.path.realpath(place) for place in named}
