"""How the index of each run is: asked all at once, and never for long."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any, Literal

from vecbridge._errors import (
    ConfigurationError,
    IndexNotFoundError,
    MissingDependencyError,
    VecbridgeError,
)
from vecbridge.fiftyone import _settings as settings
from vecbridge.fiftyone._own import own_backend
from vecbridge.fiftyone.plugin._places import Run, opened

_PATIENCE_S = 8.0
_SHORT = {"timeout": 3.0, "retry_timeout": 0.0}
_CHECKED = 20_000
_AT_ONCE = 8

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
class Health:
    """What a look at an index found.

    Attributes:
        state: in a word.
        records: how many it holds.
        dimension: of its vectors.
        advice: what is wrong and what to do; empty where nothing is. Holds no secret.
    """

    state: State
    records: int | None = None
    dimension: int | None = None
    advice: str = ""


def examine(dataset: Any, runs: Sequence[Run], patience: float = _PATIENCE_S) -> list[Health]:
    """Looks at every index at the same time.

    Args:
        dataset: what they index.
        runs: its runs.
        patience: seconds after which a store that did not answer counts as unreachable.
    """
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="vecbridge-health")
    asked = [pool.submit(_health, dataset, run) for run in runs]
    wait(asked, timeout=patience)
    # A store that hangs is left to its own timeout: nobody waits for it here.
    pool.shutdown(wait=False, cancel_futures=True)
    return [_answer(future, run, patience) for future, run in zip(asked, runs, strict=True)]


def expected_ids(dataset: Any, patches_field: str | None) -> list[str]:
    """Ids of what an index of the dataset should hold."""
    if patches_field is None:
        return [str(name) for name in dataset.values("id")]
    _, path = dataset._get_label_field_path(patches_field, "id")
    return [str(name) for name in dataset.values(path, unwind=True) if name is not None]


def _health(dataset: Any, run: Run) -> Health:
    if not run.ours and own_backend(run.config) is None:
        return Health(
            "unknown",
            advice="vecbridge cannot open it: install the package that made it, or compute the "
            "similarity again with a backend of vecbridge's.",
        )
    if not run.ours:
        return Health(
            "FiftyOne's",
            advice=f"It is kept by {run.store}. Switch store makes it vecbridge's; the key stays.",
        )
    try:
        return _looked_at(dataset, run)
    except IndexNotFoundError:
        return Health(
            "missing",
            advice=f"The store answers, but has no index {run.collection!r}. It was deleted, or "
            f"the settings lead to another store. Compute the similarity again, or delete the run.",
        )
    except (ConfigurationError, MissingDependencyError) as error:
        # Nothing was asked of the store: that it is unreachable would send people to the network.
        return Health("misconfigured", advice=str(error))
    except VecbridgeError as error:
        return Health("unreachable", advice=str(error))


def _looked_at(dataset: Any, run: Run) -> Health:
    names = settings.setting_names(run.config.backend_name)
    quick = {name: value for name, value in _SHORT.items() if name in names}
    with opened(run, **quick) as index:
        records, dimension = index.count(), index.info.dimension
        wanted = expected_ids(dataset, run.config.patches_field)
        if len(wanted) <= _CHECKED:
            there = int(index.contains(wanted).sum()) if wanted else 0
        else:
            there = min(records, len(wanted))
    missing, foreign = len(wanted) - there, records - there
    told = []
    what = "samples" if run.config.patches_field is None else "patches"
    if missing > 0:
        told.append(
            f"{missing:,} of {len(wanted):,} {what} of the dataset are not in it: add them "
            f"with compute_embeddings and add_to_index, or compute the similarity again."
        )
    if foreign > 0:
        told.append(
            f"It holds {foreign:,} records of {what} that the dataset does not have: "
            f"remove them with remove_from_index."
        )
    return Health("incomplete" if told else "healthy", records, dimension, " ".join(told))


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
    # The message of an error that nobody foresaw may hold anything: only its kind is told.
    return Health(
        "unknown",
        advice=f"Looking at it failed ({type(error).__name__}). "
        f"`vecbridge doctor {run.store}` looks closer.",
    )
