"""What the operators do: copy, switch, verify. Each tells at the end what it did."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal

import eta.core.utils as etau

from vecbridge._errors import InvalidArgumentError, VecbridgeError
from vecbridge.fiftyone import _own as own
from vecbridge.fiftyone._adopted import adopt
from vecbridge.fiftyone._handle import unique_name
from vecbridge.fiftyone._naming import config_class
from vecbridge.fiftyone._stores import shared_store
from vecbridge.fiftyone._swapping import Copying, swap
from vecbridge.fiftyone.plugin._places import Run, find_run, opened, similarity_runs, target, where
from vecbridge.transfer import Progress, copy, verify


@dataclass(frozen=True)
class Told:
    """What was done.

    Attributes:
        severity: as FiftyOne names it.
        title: in a line.
        text: what a person should know; holds no secret.
    """

    severity: Literal["success", "warning", "error"]
    title: str
    text: str

    def kept(self) -> dict[str, str]:
        """As it is stored."""
        return asdict(self)


def copy_index(
    dataset: Any, key: str, backend: str, place: str, name: str, progress: Progress
) -> Told:
    """Copies an index to another store; the run stays where it is."""
    run = find_run(dataset, key)
    called = name or unique_name(dataset.name, key)
    store, options = target(backend, place)
    with opened(run) as source:
        done = copy(source, store, called, progress=progress)
    return Told(
        "success",
        f"{key}: {done.checksum.records:,} records copied to {backend}",
        f"The copy is `{called}` in {where(backend, options) or backend}. Read back, it has the "
        f"same checksum. {key} itself is where it was.",
    )


def switch_store(dataset: Any, key: str, backend: str, place: str, progress: Progress) -> Told:
    """Moves a run to another store: the index is copied, compared, and then the run's.

    The key, the fields and the model of the run stay; the earlier index stays where it is.
    """
    for run in similarity_runs(dataset):
        if run.key == key and own.own_backend(run.config) is not None:
            _, options = target(backend, place)
            adopted = adopt(dataset, key, backend, progress=progress, **options)
            if adopted.in_place:
                return Told(
                    "success",
                    f"{key} is vecbridge's now",
                    f"Its {adopted.records:,} records stay where they are, in "
                    f"`{adopted.collection_name}`: nothing was copied.",
                )
            return _switched(key, adopted.records, backend, options, run)
    run = find_run(dataset, key)
    store, options = target(backend, place)
    if (backend, where(backend, options)) == (run.store, run.where):
        raise InvalidArgumentError(f"{key} lives in {backend} at {run.where} already")
    config = etau.get_class(config_class(backend))(
        metric=run.config.metric,
        consistency_level=run.config.consistency_level,
        **own.kept(run.config),
        **options,
    )
    name = unique_name(dataset.name, key)
    copying = Copying(dataset, key)
    copying.clear(backend, store.drop_index)
    config.collection_name = name
    with opened(run) as source, copying.making(backend, name, store.drop_index):
        records = copy(source, store, name, progress=progress).checksum.records
        factory = config.build()
        swap(dataset, key, factory.index_type(dataset, config, key, backend=factory))
    return _switched(key, records, backend, options, run)


def verify_indexes(dataset: Any, key: str, other: str, progress: Progress) -> Told:
    """Compares two indexes: every record, and rankings to the last bit."""
    first, second = find_run(dataset, key), find_run(dataset, other)
    with opened(first) as one, opened(second) as two:
        _refuse_incomparable(key, one.info, other, two.info)
        found = verify(one, two, progress=progress)
    if found.same:
        return Told(
            "success",
            f"{key} and {other} are the same",
            f"{found.first.records:,} records with checksum {found.first.digest} in both; "
            f"{found.queries} rankings agree to the last bit.",
        )
    told = [f"{key} holds {found.first.records:,} records, {other} {found.second.records:,}"]
    if found.first != found.second:
        told.append("their checksums differ")
    told.append(f"{len(found.differing)} of {found.queries} rankings differ")
    return Told("warning", f"{key} and {other} differ", "; ".join(told) + ".")


def _refuse_incomparable(key: str, one: Any, other: str, two: Any) -> None:
    if (one.dimension, one.metric) != (two.dimension, two.metric):
        raise InvalidArgumentError(
            f"{key} has {one.dimension} dimensions and metric {one.metric}, {other} has "
            f"{two.dimension} and {two.metric}: they cannot hold the same"
        )


def _switched(key: str, records: int, backend: str, options: dict[str, Any], before: Run) -> Told:
    return Told(
        "success",
        f"{key} lives in {backend} now",
        f"{records:,} records were copied to {where(backend, options) or backend} and compared. "
        f"{_what_is_left(before)}",
    )


def _what_is_left(before: Run) -> str:
    """What became of the index that the run had, as it is found."""
    if not before.collection:
        # FiftyOne's sklearn keeps an index with its run, which has another one now.
        return f"What it was in, {before.store}, went with the change."
    left = f"`{before.collection}` in {before.store}"
    try:
        there = _still_there(before)
    except VecbridgeError:
        return f"What it was in, {left}, was not touched."
    if there:
        return f"What it was in, {left}, is still there: drop it when you need it no more."
    return f"What it was in, {left}, is there no more."


def _still_there(before: Run) -> bool:
    if before.ours:
        store = shared_store(before.config.backend_name, before.options)
    else:
        config = etau.get_class(config_class("milvus"))(collection_name=before.collection)
        store = config.connect()
    return before.collection in store.index_names()
