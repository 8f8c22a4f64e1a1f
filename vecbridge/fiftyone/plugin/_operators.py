"""The operators: a form, a job that shows its progress, and the report at its end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from vecbridge import VecbridgeError, backend_names
from vecbridge.fiftyone._builtin import builtin_backend
from vecbridge.fiftyone.plugin import _jobs as jobs
from vecbridge.fiftyone.plugin._jobs import Report
from vecbridge.fiftyone.plugin._runs import Run, find_run, similarity_runs
from vecbridge.transfer import Progress

_PROGRESS_EVERY_S = 0.25

_Step = tuple[str, int, int]
"""A stage of a job, how much of it is done, and of how much."""


class _Operator(foo.Operator):  # type: ignore[misc]
    """Runs in the App, or delegated, and shows its progress either way."""

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]

    @property
    def config(self) -> foo.OperatorConfig:
        """The description by which FiftyOne lists and runs the operator."""
        return foo.OperatorConfig(
            name=self.name,
            label=f"vecbridge: {self.label}",
            description=self.description,
            dynamic=True,
            execute_as_generator=True,
            allow_immediate_execution=True,
            allow_delegated_execution=True,
            icon="hub",
            view_target=False,
        )

    def resolve_input(self, ctx: Any) -> types.Property:
        """Return the form."""
        form = types.Object()
        keys = [run.key for run in similarity_runs(ctx.dataset) if self.takes(run)]
        if keys:
            _choice(form, "key", "Brain key", keys, ctx.params.get("key"))
            self.ask(form, ctx, keys)
        else:
            form.view(
                "none",
                types.Warning(
                    label="This dataset has no similarity index that this works with",
                    description="Compute one with fob.compute_similarity, then try again.",
                ),
            )
        return types.Property(form, view=types.View(label=self.label, caption=self.description))

    def execute(self, ctx: Any) -> Iterator[Any]:
        """Run the job. Nothing is raised: the panel shows what went wrong."""
        for step in _steps(partial(self.work, ctx, ctx.dataset)):
            if isinstance(step, Report):
                jobs.keep_last(ctx, step)
                yield ctx.ops.notify(step.title, variant=step.severity)
            else:
                stage, done, total = step
                label, share = f"{stage}: {done:,} of {total:,}", min(1.0, done / max(total, 1))
                if ctx.delegated:
                    ctx.set_progress(share, label=label)
                yield ctx.ops.set_progress(label=label, progress=share)

    def takes(self, run: Run) -> bool:
        """Return whether the job can be done with a run."""
        return run.ours

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Add the other questions to the form."""

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Do the job."""
        raise NotImplementedError


class SyncIndex(_Operator):
    """Bring an index in step with its dataset."""

    name = "sync_index"
    label = "Sync an index with the dataset"
    description = "What is new is added, what is gone removed, what has changed embedded again."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask for the plan alone, and for what is not known."""
        form.bool("plan_only", label="Show the plan, and change nothing", default=False)
        form.bool(
            "unknown",
            label="Embed again what it is not known of",
            description="Records of which it was not kept what was embedded",
            default=False,
        )

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Sync the index."""
        chosen = {name: bool(ctx.params.get(name)) for name in ("plan_only", "unknown")}
        return jobs.sync_index(dataset, ctx.params["key"], progress=progress, **chosen)


class CopyIndex(_Operator):
    """Copy an index to another store."""

    name = "copy_index"
    label = "Copy an index to another store"
    description = "Every record is copied, read back and compared. The run stays where it is."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask where to copy to, and under which name."""
        _ask_place(form, ctx)
        form.str(
            "name", label="Name of the copy", description="Empty: a new, unique name", default=""
        )

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Copy the index."""
        given = ctx.params
        place, name = _text(given, "place"), _text(given, "name")
        return jobs.copy_index(dataset, given["key"], given["backend"], place, name, progress)


class SwitchStore(_Operator):
    """Move a run to another store."""

    name = "switch_store"
    label = "Switch an index to another store"
    description = (
        "The index is copied and compared, then the run is switched; the brain key stays. The old "
        "index stays too, except in FiftyOne's own sklearn, where it is part of the run."
    )

    def takes(self, run: Run) -> bool:
        """Take runs of FiftyOne's own backends too, where vecbridge can adopt them."""
        return run.ours or builtin_backend(run.config) is not None

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask where to switch to."""
        _ask_place(form, ctx)

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Switch the run."""
        given, place = ctx.params, _text(ctx.params, "place")
        return jobs.switch_store(dataset, given["key"], given["backend"], place, progress)


class VerifyIndexes(_Operator):
    """Compare two indexes."""

    name = "verify_indexes"
    label = "Verify that two indexes are the same"
    description = "Every record by checksum, and 20 rankings to the last bit."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask what to compare with."""
        others = [key for key in keys if key != ctx.params.get("key")]
        _choice(form, "other", "Compare with", others, ctx.params.get("other"))

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Compare the indexes."""
        return jobs.verify_indexes(dataset, ctx.params["key"], ctx.params["other"], progress)


class ExamineStore(_Operator):
    """Examine the store of an index."""

    name = "examine_store"
    label = "Examine the store of an index"
    description = (
        "Connection, contents, how late reads see writes, and the smoke layer of the conformance "
        "suite. What is written to the store is dropped again."
    )

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Examine the store."""
        run = find_run(dataset, ctx.params["key"])
        report, found = jobs.examine_store(run, progress)
        jobs.keep_examined(ctx, run, found)
        return report


OPERATORS = (SyncIndex, CopyIndex, SwitchStore, VerifyIndexes, ExamineStore)


def _steps(work: Callable[[Progress], Report]) -> Iterator[_Step | Report]:
    """Run a job in another thread; yield its progress now and then, and its report at the end.

    An error becomes a report: nothing is raised, and no traceback is shown.
    """
    # Only the newest step is of interest.
    latest: deque[_Step] = deque(maxlen=1)
    ended: list[Report] = []

    def progress(stage: str, done: int, total: int) -> None:
        latest.append((stage, done, total))

    worker = threading.Thread(target=lambda: ended.append(_report_of(work, progress)), daemon=True)
    worker.start()
    working = True
    while working:
        worker.join(_PROGRESS_EVERY_S)
        # Asked before the step is read, so that the last one is not lost.
        working = worker.is_alive()
        if latest:
            yield latest.pop()
    yield ended[0]


def _report_of(work: Callable[[Progress], Report], progress: Progress) -> Report:
    try:
        return work(progress)
    except VecbridgeError as error:
        return Report("error", "Nothing was changed", str(error))
    except Exception as error:  # noqa: BLE001 - an unexpected message may hold a secret
        return Report(
            "error",
            "The operation failed",
            f"An unexpected {type(error).__name__}. The same command in a terminal (`vecbridge "
            f"copy`, `verify`, `doctor`) shows more.",
        )


def _choice(
    form: types.Object, name: str, label: str, values: list[str], chosen: str | None
) -> None:
    view = types.DropdownView()
    for value in values:
        view.add_choice(value, label=value)
    default = chosen if chosen in values else None
    form.enum(name, view.values(), label=label, view=view, required=True, default=default)


def _ask_place(form: types.Object, ctx: Any) -> None:
    _choice(form, "backend", "To the store", backend_names(), ctx.params.get("backend"))
    form.str(
        "place",
        label="Path or address",
        description="Empty: as configured. Passwords and tokens belong in the environment.",
        default="",
    )


def _text(given: dict[str, Any], name: str) -> str:
    return str(given.get(name) or "").strip()
