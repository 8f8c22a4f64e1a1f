"""Show how far a command is. Imported when a command runs: only then is Rich needed for it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from vecbridge.cli._console import errors

if TYPE_CHECKING:
    from vecbridge.transfer import Progress


class _Rate(ProgressColumn):
    """Records per second."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:,.0f}/s")


@contextmanager
def bar(*, shown: bool) -> Iterator[Progress]:
    """Yield a progress bar for each stage: how far, how fast, how long still."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        _Rate(),
        TimeRemainingColumn(),
    )
    # A file of what went wrong is no place for it.
    drawn = Bar(*columns, console=errors(), disable=not (shown and errors().is_terminal))
    stages: dict[str, tuple[int, int]] = {}

    def progress(stage: str, done: int, total: int) -> None:
        # Where nothing is begun, nothing is drawn: not even the empty line that ends a bar.
        drawn.start()
        number, before = stages.get(stage, (-1, 0))
        if number < 0 or done < before:
            number = int(drawn.add_task(stage, total=total))
        stages[stage] = (number, done)
        drawn.update(number, completed=done, total=max(done, total))  # type: ignore[arg-type]

    try:
        yield progress
    finally:
        if stages:
            drawn.stop()
