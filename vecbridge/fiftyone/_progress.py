"""FiftyOne's progress bar for each stage of a longer job."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from vecbridge.transfer import Progress


@contextmanager
def progress_bars(*, shown: bool | None) -> Iterator[Progress]:
    """Show a bar for each stage: how far, how fast, how long still.

    ``None`` shows them where FiftyOne is configured to.
    """
    import fiftyone as fo
    import fiftyone.core.utils as fou

    drawn = fo.config.show_progress_bars if shown is None else shown
    bars: dict[str, Any] = {}
    with ExitStack() as stack:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                stack.close()
                sys.stdout.write(f"{stage}\n" if drawn else "")
                bars[stage] = stack.enter_context(fou.ProgressBar(total=total, progress=drawn))
            bars[stage].set_iteration(done)

        yield progress
