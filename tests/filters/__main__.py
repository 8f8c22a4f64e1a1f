"""Ask 50 000 random filters of every deployment: ``python -m tests.filters [deployment...]``.

The deployments are the columns of the published matrix. ``VECBRIDGE_FILTERS`` says another number.
"""

from __future__ import annotations

import sys
import time

from tests.filters.asking import how_many
from tests.filters.differential import compare, fields_of
from tools.conformance import COLUMNS, GIVEN, can_run


def main(names: list[str]) -> int:
    """Ask the deployments named, or all; return how many gave a wrong answer."""
    wrong = 0
    for name in names or [each for each in COLUMNS if each not in GIVEN and can_run(each)]:
        started = time.monotonic()
        with COLUMNS[name]() as deployment, deployment.open() as store:
            index = store.create_index(
                "filters", dimension=2, metric="euclidean", fields=fields_of(store)
            )
            outcome = compare(index, how_many(50_000), seed=17)
        print(f"{name}: {outcome} ({time.monotonic() - started:.0f} s)", flush=True)
        print(*outcome.wrong[:10], sep="\n")
        wrong += bool(outcome.wrong)
    return wrong


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
