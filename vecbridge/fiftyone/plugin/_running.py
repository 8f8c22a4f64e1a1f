"""Long work as FiftyOne's App runs it: in steps that tell how far it is, ended by what to say."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

from vecbridge._errors import VecbridgeError
from vecbridge.fiftyone.plugin._jobs import Told
from vecbridge.transfer import Progress

_EVERY_S = 0.25

Step = tuple[str, int, int]


def steps(work: Callable[[Progress], Told]) -> Iterator[Step | Told]:
    """Runs the work beside, and gives how far it is, now and then, and what it tells at the end.

    An error becomes what to say of it: nothing is raised, and no traceback is shown.
    """
    latest: queue.Queue[Step] = queue.Queue()
    ended: list[Told] = []

    def progress(stage: str, done: int, total: int) -> None:
        latest.put((stage, done, total))

    worker = threading.Thread(target=lambda: ended.append(_told(work, progress)), daemon=True)
    worker.start()
    working = True
    while working:
        worker.join(_EVERY_S)
        # Asked before the steps are read: what was told at the very end is not lost.
        working = worker.is_alive()
        if (step := _last(latest)) is not None:
            yield step
    yield ended[0]


def share(step: Step) -> tuple[float, str]:
    """How much is done, from 0 to 1, and in words."""
    stage, done, total = step
    return min(1.0, done / max(total, 1)), f"{stage}: {done:,} of {total:,}"


def _told(work: Callable[[Progress], Told], progress: Progress) -> Told:
    try:
        return work(progress)
    except VecbridgeError as error:
        return Told("error", "It was not done", str(error))
    except Exception as error:  # noqa: BLE001 - a message that nobody foresaw may hold a secret
        return Told(
            "error",
            "It was not done",
            f"An unexpected {type(error).__name__}. The same command in a terminal (`vecbridge "
            f"copy`, `verify`, `doctor`) shows more.",
        )


def _last(latest: queue.Queue[Any]) -> Step | None:
    step: Step | None = None
    while not latest.empty():
        step = latest.get_nowait()
    return step
