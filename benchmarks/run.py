"""Runs the benchmarks one after the other, keeps their figures, and writes their page.

    python -m benchmarks.run               # all of them
    python -m benchmarks.run sweep faiss   # these; the figures of the others stay

One that fails, or takes more than twice its time, does not stop the others.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from benchmarks import _machine as machine
from benchmarks import _results as results
from benchmarks import page

HERE = Path(__file__).parent
BUDGETS = {
    "duplicates": 320,
    "faiss": 60,
    "fields": 120,
    "fiftyone": 240,
    "import": 15,
    "langchain": 40,
    "local": 40,
    "milvus": 240,
    "neighbors": 150,
    "profile": 20,
    "service": 60,
    "sklearn": 90,
    "stores": 480,
    "sweep": 150,
    "torch": 55,
}
"""Seconds that each may take on two quiet cores."""
ARGUMENTS = {
    "fiftyone": ["--count", "10000"],
    "neighbors": ["--runs", "1"],
    "sweep": ["--seconds", str(BUDGETS["sweep"])],
}
STOPPED_AFTER = 2


@contextmanager
def environment() -> Iterator[dict[str, str]]:
    """Yield the environment of the scripts, with a MongoDB for FiftyOne where one starts."""
    from tests.servers.mongo import fiftyone_environment, running_mongod

    with tempfile.TemporaryDirectory(prefix="vecbridge-") as name:
        folder = Path(name)
        server = running_mongod(folder)
        try:
            uri = server.__enter__()
        except (OSError, RuntimeError) as error:
            print(f"FiftyOne is not measured, for MongoDB does not start: {error}")
            yield dict(os.environ)
            return
        try:
            yield {**os.environ, **fiftyone_environment(uri, folder)}
        finally:
            server.__exit__(None, None, None)


def measured(name: str, around: dict[str, str]) -> dict[str, Any]:
    """One script's figures, and how it ended."""
    budget = BUDGETS.get(name, 60)
    before, start = machine.load(), time.monotonic()
    with tempfile.TemporaryDirectory(prefix="vecbridge-") as folder:
        figures = Path(folder) / "figures.json"
        code, printed = _run(name, figures, around, STOPPED_AFTER * budget)
        found = json.loads(figures.read_text()) if figures.exists() else {}
    taken = time.monotonic() - start
    print(printed, flush=True)
    return {
        "title": found.get("title", ""),
        "outcome": _outcome(code, printed, found),
        "date": f"{_now():%Y-%m-%d %H:%M}",
        "seconds": round(taken),
        "budget": budget,
        "load": [before, machine.load()],
        "machine": machine.machine(),
        "versions": machine.versions(),
        "rows": found.get("rows", []),
    }


def _run(name: str, figures: Path, around: dict[str, str], most: float) -> tuple[int | None, str]:
    """Return the exit status and what was printed; no status where it had to be stopped."""
    command = [sys.executable, str(HERE / f"bench_{name}.py"), "--json", str(figures)]
    output = figures.with_suffix(".txt")
    with output.open("w", encoding="utf-8") as into:
        process = subprocess.Popen(
            [*command, *ARGUMENTS.get(name, [])],
            stdout=into,
            stderr=subprocess.STDOUT,
            env=around,
            start_new_session=True,
        )
        try:
            code: int | None = process.wait(most)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            _end(process)
    return code, output.read_text(encoding="utf-8", errors="replace")


def _end(process: subprocess.Popen[bytes]) -> None:
    """Stop a script that still runs, with whatever it has started."""
    if process.poll() is not None:
        return
    for sent in (signal.SIGINT, signal.SIGKILL):
        os.killpg(process.pid, sent)
        try:
            process.wait(15)
        except subprocess.TimeoutExpired:
            continue
        return


def _outcome(code: int | None, printed: str, found: dict[str, Any]) -> str:
    last = printed.strip().splitlines()[-1:] or ["nothing was printed"]
    if code is None:
        return "stopped: it took more than twice its time"
    if code:
        return f"failed: {last[0][:200]}"
    return "measured" if found else f"skipped: {last[0][:200]}"


def _now() -> datetime:
    return datetime.now(timezone.utc)


def main() -> int:
    """Run what was asked for; fail if one of them did."""
    known = sorted(path.stem.removeprefix("bench_") for path in HERE.glob("bench_*.py"))
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(known))
    names = parser.parse_args().names or known
    if unknown := sorted(set(names) - set(known)):
        parser.error(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}")
    run: results.Run = {
        "date": f"{_now():%Y-%m-%d %H:%M}",
        "scripts": {},
    }
    whole = names == known
    with environment() as around:
        for name in names:
            print(f"--- {name}", flush=True)
            run["scripts"][name] = measured(name, around)
            print(f"{name}: {run['scripts'][name]['outcome']}", flush=True)
            # After each, so that nothing is lost when the next is interrupted.
            results.save(run if whole else results.merged(run), whole=whole)
    page.write(results.latest())
    print(f"figures: {results.LATEST}\npage: {page.PAGE}")
    ended = [entry["outcome"] for entry in run["scripts"].values()]
    return int(any(outcome.startswith(("failed", "stopped")) for outcome in ended))


if __name__ == "__main__":
    sys.exit(main())
