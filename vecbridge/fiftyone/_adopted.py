"""Runs of FiftyOne's own backends that become vecbridge's, and go back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from vecbridge._errors import InvalidArgumentError
from vecbridge.transfer import Progress
from vecbridge.transfer._progress import silent


@dataclass(frozen=True)
class Adopted:
    """What became of a run, or what would.

    Attributes:
        brain_key: its key, which stays.
        source: the backend that it was of.
        target: the backend that it is of.
        collection_name: its index in that backend; ``None`` in FiftyOne's sklearn.
        records: how many the index holds.
        in_place: nothing was copied: the same collection is used.
        mended: ids of which several rows were found, and one was kept.
        left: the index that is still there, but no run's any more.
        done: ``False`` where only a plan was asked for.
    """

    brain_key: str
    source: str
    target: str
    collection_name: str | None
    records: int
    in_place: bool
    mended: int = 0
    left: str | None = None
    done: bool = True


def adopt(
    dataset: Any,
    brain_key: str,
    to: str | None = None,
    *,
    back: bool = False,
    dry_run: bool = False,
    progress: Progress = silent,
    **options: Any,
) -> Adopted:
    """Makes a similarity run of FiftyOne's own sklearn or Milvus backend vecbridge's, or undoes it.

    The brain key stays, and with it the time of the run, its fields, its model, metric and
    consistency level. A collection in Milvus is used where it is, and ids that have several rows in
    it get one. Other indexes are copied, read back and compared. The run changes in one write, at
    the end: until then, and after a kill, it is what it was.

    Args:
        dataset: the dataset, or its name.
        brain_key: key of the run.
        to: a backend. By default the one of the same name. With ``back``, ``"sklearn"`` or
            ``"milvus"`` of FiftyOne's.
        back: make a run of vecbridge's FiftyOne's again.
        dry_run: change nothing, and say what would be done.
        progress: called after each batch.
        options: settings of the store, such as ``uri``; what is left out is read where it is
            configured.

    Returns:
        What was done.

    Raises:
        InvalidArgumentError: there is no such dataset or run, or it is of another backend.
        UnknownBackendError: the backend is not installed.
        IndexNotFoundError: the run's index does not exist in the store.
        CorruptStoreError: a copy is not what was copied; the run stays what it was.
        BackendError: a store failed; the run stays what it was.

    Example:
        >>> vecbridge.fiftyone.adopt("photos", "similar", uri="vectors.db")  # doctest: +SKIP
    """
    from vecbridge.fiftyone._moving import Move

    if isinstance(dataset, str):
        dataset = _loaded(dataset)
    if not dataset.has_brain_run(brain_key):
        raise InvalidArgumentError(
            f"dataset {dataset.name!r} has no brain run {brain_key!r}; it has "
            f"{', '.join(dataset.list_brain_runs()) or 'none'}"
        )
    move = Move(dataset, brain_key, to, options, progress)
    return move.back(dry_run) if back else move.forth(dry_run)


def _loaded(name: str) -> Any:
    import fiftyone as fo

    try:
        return fo.load_dataset(name)
    except ValueError as error:
        datasets = ", ".join(fo.list_datasets()[:10]) or "none"
        raise InvalidArgumentError(
            f"there is no dataset {name!r}; FiftyOne has {datasets}"
        ) from error
