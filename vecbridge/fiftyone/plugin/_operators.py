"""The operators: a form, the work with its progress, and what it tells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, ClassVar

import fiftyone.operators as foo
from fiftyone.operators import types

from vecbridge._config._registry import backend_names
from vecbridge.fiftyone._own import own_backend
from vecbridge.fiftyone.plugin import _examining as examining
from vecbridge.fiftyone.plugin import _jobs as jobs
from vecbridge.fiftyone.plugin import _kept as kept
from vecbridge.fiftyone.plugin._jobs import Told
from vecbridge.fiftyone.plugin._places import find_run, similarity_runs
from vecbridge.fiftyone.plugin._running import share, steps
from vecbridge.transfer import Progress


class _Operator(foo.Operator):  # type: ignore[misc]
    """Runs in the App, or delegated; tells how far it is either way."""

    name: ClassVar[str]
    label: ClassVar[str]
    description: ClassVar[str]

    @property
    def config(self) -> foo.OperatorConfig:
        """How FiftyOne lists and runs it."""
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
        """The form."""
        form = types.Object()
        keys = [run.key for run in similarity_runs(ctx.dataset) if self.takes(run)]
        if keys:
            _choice(form, "key", "Brain key", keys, ctx.params.get("key"))
            self.ask(form, ctx, keys)
        else:
            form.view(
                "none",
                types.Warning(
                    label="There is no similarity index that this can be done with",
                    description="Compute one with fob.compute_similarity, then come back.",
                ),
            )
        return types.Property(form, view=types.View(label=self.label, caption=self.description))

    def execute(self, ctx: Any) -> Iterator[Any]:
        """Does it. Nothing is raised: what went wrong is told in the panel."""
        for step in steps(self.work(ctx)):
            if isinstance(step, Told):
                kept.keep_last(ctx, step)
                yield ctx.ops.notify(step.title, variant=step.severity)
            else:
                done, label = share(step)
                if ctx.delegated:
                    ctx.set_progress(done, label=label)
                yield ctx.ops.set_progress(label=label, progress=done)

    def takes(self, run: Any) -> bool:
        """Whether it can be done with a run."""
        return bool(run.ours)

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Adds to the form what else is asked."""

    def work(self, ctx: Any) -> Callable[[Progress], Told]:
        """What is to be done."""
        raise NotImplementedError


class CopyIndex(_Operator):
    """Copies an index to another store."""

    name = "copy_index"
    label = "Copy an index to another store"
    description = "Every record is copied, read back and compared. The run stays where it is."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Where to, and under which name."""
        _ask_place(form, ctx)
        form.str(
            "name", label="Name of the copy", description="Empty: one that nobody has", default=""
        )

    def work(self, ctx: Any) -> Callable[[Progress], Told]:
        """The copy."""
        given, dataset = ctx.params, ctx.dataset
        return lambda progress: jobs.copy_index(
            dataset,
            given["key"],
            given["backend"],
            _text(given, "place"),
            _text(given, "name"),
            progress,
        )


class SwitchStore(_Operator):
    """Moves a run to another store."""

    name = "switch_store"
    label = "Switch an index to another store"
    description = (
        "Copied, compared, then switched: the brain key stays. So does the old index, but for one "
        "in FiftyOne's own sklearn, which is kept with the run."
    )

    def takes(self, run: Any) -> bool:
        """FiftyOne's own sklearn and Milvus too."""
        return run.ours or own_backend(run.config) is not None

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """Where to."""
        _ask_place(form, ctx)

    def work(self, ctx: Any) -> Callable[[Progress], Told]:
        """The switch."""
        given, dataset = ctx.params, ctx.dataset
        return lambda progress: jobs.switch_store(
            dataset, given["key"], given["backend"], _text(given, "place"), progress
        )


class VerifyIndexes(_Operator):
    """Compares two indexes."""

    name = "verify_indexes"
    label = "Verify that two indexes are the same"
    description = "Every record by checksum, and 20 rankings to the last bit."

    def ask(self, form: types.Object, ctx: Any, keys: list[str]) -> None:
        """With which."""
        others = [key for key in keys if key != ctx.params.get("key")]
        _choice(form, "other", "Compare with", others, ctx.params.get("other"))

    def work(self, ctx: Any) -> Callable[[Progress], Told]:
        """The comparison."""
        given, dataset = ctx.params, ctx.dataset
        return lambda progress: jobs.verify_indexes(dataset, given["key"], given["other"], progress)


class ExamineStore(_Operator):
    """Looks closely at the store of an index."""

    name = "examine_store"
    label = "Examine the store of an index"
    description = (
        "Connection, contents, how late reads see writes, and the smoke layer of the conformance "
        "suite. What is written to the store is dropped again."
    )

    def work(self, ctx: Any) -> Callable[[Progress], Told]:
        """The examination."""
        key, dataset = ctx.params["key"], ctx.dataset

        def examine(progress: Progress) -> Told:
            run = find_run(dataset, key)
            told, found = examining.examine_store(run, progress)
            kept.keep_examined(ctx, run.store, run.where, found)
            return told

        return examine


OPERATORS = (CopyIndex, SwitchStore, VerifyIndexes, ExamineStore)


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
