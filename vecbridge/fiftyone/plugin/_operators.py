"""The operators: a form, a job that shows its progress, and the report at its end."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from vecbridge import VecbridgeError
from vecbridge.fiftyone._builtin import builtin_backend
from vecbridge.fiftyone.plugin import _creating as creating
from vecbridge.fiftyone.plugin import _jobs as jobs
from vecbridge.fiftyone.plugin._forms import (
    ask_choice,
    ask_metric,
    ask_store,
    store_of,
    text_of,
)
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
            ask_choice(form, "key", "Brain key", keys, ctx.params.get("key"))
            self.ask(form, ctx, keys)
        else:
            form.view(
                "none",
                types.Warning(
                    label="This dataset has no similarity index that this operation works with",
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


class CreateIndex(_Operator):
    """Make an index of the dataset."""

    name = "create_index"
    label = "Create a similarity index"
    description = "From embeddings that a field holds, or that a model computes."

    def resolve_input(self, ctx: Any) -> types.Property:
        """Return the form: what is indexed, and where to."""
        form, given = types.Object(), ctx.params
        form.str(
            "key", label="Brain key", description="Name of the index in FiftyOne", required=True
        )
        patches = creating.patch_fields(ctx.dataset)
        if patches:
            ask_choice(
                form,
                "patches",
                "Objects of",
                patches,
                given.get("patches"),
                required=False,
                description="Leave empty to index whole samples",
            )
        fields = creating.embedding_fields(ctx.dataset, text_of(given, "patches"))
        if fields:
            ask_choice(
                form,
                "embeddings",
                "Field with the embeddings",
                fields,
                given.get("embeddings"),
                required=False,
                description="Leave empty to compute them with a model",
            )
        if given.get("embeddings") not in fields:
            models = creating.models_with_embeddings()
            ask_choice(form, "model", "Model of FiftyOne's zoo", models, given.get("model"))
        ask_metric(form)
        ask_store(form, ctx, "In the store")
        return types.Property(form, view=types.View(label=self.label, caption=self.description))

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Make the index."""
        given, patches = ctx.params, text_of(ctx.params, "patches")
        embeddings = text_of(given, "embeddings")
        # A field that was chosen before its objects were is not theirs.
        if embeddings not in creating.embedding_fields(dataset, patches):
            embeddings = ""
        model = "" if embeddings else text_of(given, "model")
        key, metric = text_of(given, "key"), text_of(given, "metric")
        wanted = creating.Wanted(key, metric, embeddings, model, patches)
        return creating.create_index(dataset, wanted, store_of(given), progress)


class DropIndex(_Operator):
    """Drop an index and its run."""

    name = "drop_index"
    label = "Drop an index"
    description = "Its records are deleted from the store. The samples stay as they are."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask what is to stay."""
        form.bool(
            "keep_run",
            label="Keep the run",
            description="Its model and settings stay, and Sync can create the index again",
            default=False,
        )

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Drop the index."""
        keep = bool(ctx.params.get("keep_run"))
        return creating.drop_index(dataset, ctx.params["key"], keep_run=keep)


class SyncIndex(_Operator):
    """Bring an index in step with its dataset."""

    name = "sync_index"
    label = "Sync an index with the dataset"
    description = "Adds new records, removes deleted ones, and embeds changed ones again."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask for the plan alone, and for what is not known."""
        form.bool("plan_only", label="Show the plan, and change nothing", default=False)
        form.bool(
            "unknown",
            label="Embed records of unknown state again",
            description="Records of which it is not known whether their media have changed",
            default=False,
        )
        form.bool(
            "create",
            label="Create the index if it is missing",
            description="And embed everything",
            default=False,
        )

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Sync the index."""
        chosen = {name: bool(ctx.params.get(name)) for name in ("plan_only", "unknown", "create")}
        return jobs.sync_index(dataset, ctx.params["key"], progress=progress, **chosen)


class CopyIndex(_Operator):
    """Copy an index to another store."""

    name = "copy_index"
    label = "Copy an index to another store"
    description = "Every record is copied, read back and compared. The run itself does not change."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask where to copy to, and under which name."""
        ask_store(form, ctx, "To the store")
        form.str(
            "name",
            label="Name of the copy",
            description="Leave empty for a new, unique name",
            default="",
        )

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Copy the index."""
        given = ctx.params
        name = text_of(given, "name")
        return jobs.copy_index(dataset, given["key"], store_of(given), name, progress)


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
        ask_store(form, ctx, "To the store")

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Switch the run."""
        return jobs.switch_store(dataset, ctx.params["key"], store_of(ctx.params), progress)


class VerifyIndexes(_Operator):
    """Compare two indexes."""

    name = "verify_indexes"
    label = "Verify that two indexes are the same"
    description = "Compares every record by checksum, and 20 rankings to the last bit."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Ask what to compare with."""
        others = [key for key in keys if key != ctx.params.get("key")]
        ask_choice(form, "other", "Compare with", others, ctx.params.get("other"))

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Compare the indexes."""
        return jobs.verify_indexes(dataset, ctx.params["key"], ctx.params["other"], progress)


class ExamineStore(_Operator):
    """Examine the store of an index."""

    name = "examine_store"
    label = "Examine the store of an index"
    description = (
        "Checks the connection, the contents, how late reads see writes, and the smoke layer of "
        "the conformance suite. What is written to the store is then removed."
    )

    def work(self, ctx: Any, dataset: Any, progress: Progress) -> Report:
        """Examine the store."""
        run = find_run(dataset, ctx.params["key"])
        report, found = jobs.examine_store(run, progress)
        jobs.keep_examined(ctx, run, found)
        return report


OPERATORS = (
    CreateIndex,
    SyncIndex,
    CopyIndex,
    SwitchStore,
    VerifyIndexes,
    ExamineStore,
    DropIndex,
)


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
