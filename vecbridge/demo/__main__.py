"""``python -m vecbridge.demo [--app] [--output FOLDER]``."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console

from vecbridge import ConfigurationError
from vecbridge.cli._failures import Exit

NEIGHBOURS = 10


def main() -> int:
    """Run the demo; the exit status says whether the rankings are identical."""
    options = _options()
    folder = Path(options.output)
    _isolate_fiftyone(folder)
    _remove_earlier_indexes(folder)
    console = Console()
    started = time.perf_counter()
    try:
        identical = _demo(console, folder, open_app=options.app)
    except ConfigurationError as error:
        console.print(f"[bold red]error[/] {error}", soft_wrap=True, highlight=False)
        return Exit.USAGE
    console.print(f"\nDone in {time.perf_counter() - started:.0f} s.")
    return 0 if identical else 1


def _demo(console: Console, folder: Path, *, open_app: bool) -> bool:
    its = "your database" if "FIFTYONE_DATABASE_URI" in os.environ else "a MongoDB of its own"
    console.print(f"Starting FiftyOne (with {its}) ...")
    import vecbridge.fiftyone
    from vecbridge.demo import _report as report
    from vecbridge.demo._digits import PixelModel, digits_dataset
    from vecbridge.demo._stores import choices, run

    vecbridge.fiftyone.enable()
    with _database_needed():
        dataset = digits_dataset(folder / "images")
    console.print("Embedding the images ...")
    embeddings = dataset.compute_embeddings(PixelModel(), progress=True)
    ids, names, files = dataset.values(["id", "ground_truth.label", "filepath"])
    labels, paths = dict(zip(ids, names, strict=True)), dict(zip(ids, files, strict=True))
    queries = [ids[names.index(digit)] for digit in sorted(set(names))]

    outcomes = []
    for choice in choices(folder):
        console.print(f"{choice.title}: {choice.settings}")
        outcomes.append(run(dataset, embeddings, choice, queries, NEIGHBOURS + 1))
    console.print()
    report.show_neighbours(console, outcomes[0], labels)
    precision = {
        outcome.choice.brain_key: report.first_neighbour_precision(outcome, ids, labels)
        for outcome in outcomes
    }
    identical = report.show_comparison(console, outcomes, precision)
    picture = report.draw(outcomes[0], labels, paths, folder / "neighbours.png")
    console.print(f"\nThe picture: {picture}", soft_wrap=True)
    _say_what_next(console, open_app=open_app)
    if open_app:
        _open_app(console, dataset)
    return identical


@contextmanager
def _database_needed() -> Iterator[None]:
    from fiftyone.core.config import FiftyOneConfigError

    try:
        yield
    except FiftyOneConfigError as error:
        raise ConfigurationError(
            "FiftyOne finds no database, and brings none for this system. Start a MongoDB server, "
            "and name it: FIFTYONE_DATABASE_URI=mongodb://127.0.0.1:27017 vecbridge demo"
        ) from error


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="vecbridge demo",
        description="Finds similar images on three stores, through FiftyOne, and compares them.",
    )
    parser.add_argument("--app", action="store_true", help="open the FiftyOne App at the end")
    parser.add_argument("--output", default="demo-output", help="folder for everything it makes")
    return parser.parse_args()


def _isolate_fiftyone(folder: Path) -> None:
    """Give the demo a database of its own, unless the caller named one."""
    home = folder.resolve() / "fiftyone"
    home.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("FIFTYONE_DO_NOT_TRACK", "1")
    os.environ.setdefault("FIFTYONE_DATABASE_VALIDATION", "false")
    os.environ.setdefault("FIFTYONE_BRAIN_CONFIG_PATH", str(home / "brain_config.json"))
    if "FIFTYONE_DATABASE_URI" not in os.environ:
        os.environ.setdefault("FIFTYONE_DATABASE_DIR", str(home / "mongo"))


def _remove_earlier_indexes(folder: Path) -> None:
    for name in ("digits.db", "sklearn"):
        shutil.rmtree(folder / name, ignore_errors=True)


def _say_what_next(console: Console, *, open_app: bool) -> None:
    console.print("\nTry next:")
    if not open_app:
        console.print("  vecbridge demo --app         the same, and the FiftyOne App on it")
    console.print("  vecbridge doctor BACKEND     whether a store of your own is well")
    console.print("  vecbridge fiftyone enable    your own FiftyOne, on these stores")


def _open_app(console: Console, dataset: object) -> None:
    import fiftyone as fo

    session = fo.launch_app(dataset, address="127.0.0.1", remote=not sys.stdout.isatty())
    console.print(f"\nThe App: {session.url} (Ctrl+C ends it)")
    session.wait(-1)


if __name__ == "__main__":
    sys.exit(main())
