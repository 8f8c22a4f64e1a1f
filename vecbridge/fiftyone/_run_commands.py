"""``vecbridge fiftyone adopt | sync | move | orphans``: commands on runs of datasets."""

from __future__ import annotations

import argparse
import json
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from vecbridge import ConfigurationError, InvalidArgumentError
from vecbridge._config._changing import set_settings
from vecbridge._config._sources import variable_name
from vecbridge.fiftyone._progress import progress_bars
from vecbridge.fiftyone._same_names import adoptable


def add_run_commands(commands: Any) -> None:
    """Add the parsers of the commands to those of ``vecbridge fiftyone``."""
    taken = f"take over a run of FiftyOne's own {adoptable()}"
    adopting = _of_a_run(commands, "adopt", taken)
    adopting.add_argument(
        "--to", metavar="BACKEND", help="backend to use (default: the one of the same name)"
    )
    adopting.add_argument(
        "--back", action="store_true", help="give the run back to FiftyOne's own backend"
    )
    adopting.add_argument(
        "--center",
        action="store_true",
        help="keep the neighbours of FiftyOne's sklearn, which subtracts the mean of all vectors",
    )
    syncing = _of_a_run(commands, "sync", "add new records to an index, remove deleted ones")
    syncing.add_argument("--view", metavar="NAME", help="index only the samples of this saved view")
    syncing.add_argument(
        "--unknown",
        action="store_true",
        help="also embed again the records of which it is not known whether they have changed",
    )
    syncing.add_argument("--create", action="store_true", help="create a missing index")
    for name, about in _EMBEDDING.items():
        syncing.add_argument(name, metavar="N", type=int, help=about)
    moving = _of_a_run(commands, "move", "move a run to another store; its key stays")
    moving.add_argument("--to", metavar="BACKEND", required=True, help="backend, such as milvus")
    moving.add_argument(
        "--from-option",
        "-f",
        metavar="KEY=VALUE",
        type=_setting,
        action="append",
        default=[],
        help="a setting of the store that the run leaves, if it cannot be found without it",
    )
    moving.add_argument("--drop-source", action="store_true", help="drop the earlier index")
    moving.add_argument(
        "--save",
        action="store_true",
        help="write the settings that other processes need, except secrets, to brain_config.json",
    )
    spread = moving.add_mutually_exclusive_group()
    spread.add_argument("--workers", metavar="N", type=int, help="copy in N processes")
    spread.add_argument("--dask", metavar="ADDRESS", help="copy on a Dask cluster")
    spread.add_argument("--ray", metavar="ADDRESS", help="copy on a Ray cluster, or auto")
    orphaned = commands.add_parser("orphans", help="list the indexes that no run uses any more")
    orphaned.add_argument(
        "backend",
        nargs="?",
        help="look in this store (default: those of runs, and the configured ones)",
    )
    _add_option(orphaned)
    orphaned.add_argument("--drop", action="store_true", help="drop those that were created here")
    orphaned.add_argument("--yes", "-y", action="store_true", help="drop without asking")


_EMBEDDING = {
    "--batch-size": "samples per batch of the model",
    "--num-workers": "processes that load media",
}


def _of_a_run(commands: Any, name: str, about: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(name, help=about)
    parser.add_argument("dataset", help="the dataset's name")
    parser.add_argument("brain_key", help="key of the run")
    _add_option(parser)
    parser.add_argument("--dry-run", action="store_true", help="only show what would be done")
    return parser


def _add_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        type=_setting,
        action="append",
        default=[],
        help="a setting of the store, such as uri=vectors.db; secrets belong in the environment",
    )


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("a setting is KEY=VALUE")
    return key, value


def _adopted(given: argparse.Namespace) -> str:
    with _database():
        from vecbridge.fiftyone._adopt import adopt

        # JSON is for programs: nothing else may be on stdout.
        with progress_bars(shown=not given.json) as progress:
            done = adopt(
                given.dataset,
                given.brain_key,
                given.to,
                back=given.back,
                center=given.center,
                dry_run=given.dry_run,
                progress=progress,
                **dict(given.option),
            )
    if given.json:
        return json.dumps(asdict(done), indent=2)
    how = "in place" if done.in_place else "copied"
    state = "is now" if done.done else "would be"
    lines = [
        f"{done.brain_key}: {done.source} -> {done.target}, {how}",
        f"{done.records:,} records; the run {state} in {done.target}",
    ]
    if done.mended:
        lines.append(f"{done.mended:,} ids had several rows, and have one now")
    if done.left is not None and not done.in_place:
        lines.append(f"{done.left} stays where it is: drop it when you no longer need it")
    if done.changes:
        lines.append(done.changes)
    return "\n".join(lines)


def _synced(given: argparse.Namespace) -> str:
    with _database():
        from vecbridge.fiftyone._runs import index_of, saved_view

        index = index_of(given.dataset, given.brain_key, dict(given.option))
        samples = None if given.view is None else saved_view(index, given.view)
        asked = {"batch_size": given.batch_size, "num_workers": given.num_workers}

        def confirmed(plan: Any) -> bool:
            if not given.json:
                sys.stdout.write(f"{given.brain_key} of {given.dataset}: {plan}\n")
            return not given.dry_run

        with progress_bars(shown=not given.json) as progress:
            done = index.sync(
                samples,
                unknown=given.unknown,
                create=given.create,
                confirm=confirmed,
                progress=progress,
                **{name: value for name, value in asked.items() if value is not None},
            )
        records = index.total_index_size
    if given.json:
        named = ("new", "gone", "changed", "unknown", "without", "failed")
        counts = {name: len(getattr(done, name)) for name in named}
        return json.dumps({**counts, "done": done.done, "records": records}, indent=2)
    lines = [f"{records:,} records"]
    if done.done and not done.in_step:
        kept = len(done.new) + len(done.changed) - len(done.failed)
        lines = [f"{kept:,} written, {len(done.gone):,} removed; {records:,} records"]
    if done.failed:
        lines.append(f"{len(done.failed):,} could not be embedded: are their media files there?")
    if done.without:
        lines.append(
            f"{len(done.without):,} are left out: the run has no model to embed them, and its "
            f"field, if it has one, holds no embedding of them"
        )
    if done.unknown:
        lines.append(
            f"for {len(done.unknown):,}, it is not known whether their media have changed since "
            f"they were embedded: --unknown embeds them again"
        )
    return "\n".join(lines)


def _moved(given: argparse.Namespace) -> str:
    with _database():
        from vecbridge.fiftyone._moving import move

        with _executor(given) as executor, progress_bars(shown=not given.json) as progress:
            done = move(
                given.dataset,
                given.brain_key,
                given.to,
                drop_source=given.drop_source,
                source=dict(given.from_option),
                dry_run=given.dry_run,
                executor=executor,
                progress=progress,
                **dict(given.option),
            )
    saved = _saved(done) if given.save and done.done else {}
    if given.json:
        return json.dumps({**asdict(done), **saved}, indent=2)
    return "\n".join(_lines_of(done, saved))


@contextmanager
def _executor(given: argparse.Namespace) -> Iterator[Executor | None]:
    """Yield where the index is copied; ``None`` for this process."""
    where = given.workers, given.dask, given.ray
    if where == (None, None, None):
        yield None
        return
    # It needs typer, as the other commands of vecbridge do.
    from vecbridge.cli._options import executor_of

    with executor_of(*where) as executor:
        yield executor


def _saved(done: Any) -> dict[str, Any]:
    """Write what other processes need, and return where it is, or why it is not written.

    The run has moved: it is no reason to say that the command failed.
    """
    plain = {name: value for name, value in done.needed.items() if value is not None}
    try:
        change = set_settings(done.target, plain) if plain else None
    except ConfigurationError as error:
        return {"not_saved": str(error)}
    return {} if change is None else {"saved": str(change.path), "wins": list(change.overridden)}


def _lines_of(done: Any, saved: Mapping[str, Any]) -> Iterator[str]:
    yield f"{done.brain_key}: {done.source} -> {done.target}"
    if not done.done:
        yield f"{done.records:,} records; the run would be in {done.target}"
    elif done.checksum is not None:
        yield f"{done.records:,} records copied, read back and compared: {done.checksum}"
    else:
        yield f"{done.records:,} records; the interrupted move is complete"
    if done.left is not None and done.done:
        yield _left(done)
    missing = dict(done.needed)
    if "not_saved" in saved:
        yield f"not written: {saved['not_saved']}"
    if "saved" in saved:
        yield f"other processes find it through the settings in {saved['saved']}"
        missing = {name: value for name, value in missing.items() if value is None}
    for variable in saved.get("wins", ()):
        yield f"but {variable} is set and takes precedence: unset it, or change it"
    if missing:
        yield "other processes, including the App's server, find it once these are set:"
    elif "saved" not in saved:
        yield "other processes find it without further settings"
    for name, value in missing.items():
        variable = variable_name(done.target, name)
        yield f"  export {variable}={'...' if value is None else shlex.quote(value)}"


def _left(done: Any) -> str:
    """Return what stays of an index whose run has moved, and how to drop it where that is right."""
    if done.left_to:
        return f"{done.left} stays in {done.source}, for {' and '.join(done.left_to)}"
    options = [f"-o {shlex.quote(f'{name}={at}')}" for name, at in done.left_in.items()]
    drop = " ".join(["vecbridge drop", done.source, done.left, *options])
    return f"the earlier index stays; to drop it: {drop}"


def _orphaned(given: argparse.Namespace) -> str:
    with _database():
        from vecbridge.fiftyone._orphans import orphans

        options = dict(given.option)
        found = orphans(given.backend, **options)
        ours = [each for each in found.found if each.made_here]
        if given.drop and ours:
            if not given.json:
                sys.stdout.write(f"{_listed(found)}\n")
            if not (given.yes or _agreed(f"Drop the {len(ours)} that were created here?")):
                return "nothing was dropped"
            found = orphans(given.backend, drop=True, **options)
    if given.json:
        return json.dumps(asdict(found), indent=2)
    dropped = [each for each in found.found if each.dropped]
    if not dropped:
        return _listed(found)
    return "\n".join(f"dropped {each.backend}:{each.name}" for each in dropped)


def _listed(found: Any) -> str:
    lines = []
    for each in found.found:
        records = "unreadable" if each.records is None else f"{each.records:,} records"
        whose = "" if each.made_here else "; not known to be from this FiftyOne: kept"
        lines.append(f"{each.backend}:{each.name}  {records}{whose}")
    lines += [f"could not search {reason}" for reason in found.unreachable]
    where = ", ".join(found.looked_into) or "no store"
    return "\n".join([*lines, f"searched {where}"])


def _agreed(question: str) -> bool:
    if not sys.stdin.isatty():
        raise InvalidArgumentError(
            "dropping cannot be undone, and there is no terminal to ask at: give --yes to drop "
            "without asking"
        )
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


@contextmanager
def _database() -> Iterator[None]:
    """Import FiftyOne, which takes seconds, and say so where it finds no database."""
    from fiftyone.core.config import FiftyOneConfigError

    try:
        yield
    except FiftyOneConfigError as error:
        raise ConfigurationError(f"FiftyOne finds no database: {error}") from error


RUN_COMMANDS: Mapping[str, Callable[[argparse.Namespace], str]] = {
    "adopt": _adopted,
    "move": _moved,
    "orphans": _orphaned,
    "sync": _synced,
}
"""What each of the commands does; returns what it prints."""
