"""The command line ``vecbridge``."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from vecbridge._errors import MissingDependencyError
from vecbridge.cli._failures import Exit, as_json, asked_for_json, closed_pipes_told
from vecbridge.cli._programs import PROGRAMS, run_program

__all__ = ["main"]

_INSTALL = "pip install 'vecbridge[cli]'"
_WITHOUT_EXTRA = f"""\
Usage: vecbridge COMMAND [ARGS]...

One contract for vector stores: inspect them, move between them, verify them.

Most commands need packages that are not installed here: {_INSTALL}

Commands that work without them, and name any other package they need:
"""


def main() -> None:
    """Run a command: the entry point of the console script."""
    with closed_pipes_told():
        _run(sys.argv[1:])


def _run(words: Sequence[str]) -> None:
    if words and words[0] in PROGRAMS:
        _run_program(words)
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError:
        sys.exit(_without_extra(words))
    from vecbridge.cli._app import app
    from vecbridge.cli._completion import complete, is_asked
    from vecbridge.cli._console import run

    if is_asked():
        complete(lambda: run(app))
    run(app)


def _run_program(words: Sequence[str]) -> None:
    try:
        run_program(words[0], words[1:])
    except MissingDependencyError as error:
        sys.exit(_told(error))


def _without_extra(words: Sequence[str]) -> int:
    """Answer without Typer and Rich; return the exit code."""
    from vecbridge import __version__

    if words[:1] == ["--version"]:
        sys.stdout.write(f"vecbridge {__version__}\n")
        return Exit.OK
    if not words or words[0] in {"-h", "--help"}:
        programs = "".join(f"  {name:<12} {each.help}\n" for name, each in PROGRAMS.items())
        sys.stdout.write(f"{_WITHOUT_EXTRA}{programs}")
        return Exit.OK
    return _told(
        MissingDependencyError(
            f"this command needs packages that are not installed: {_INSTALL}", name="typer"
        )
    )


def _told(error: MissingDependencyError) -> int:
    sys.stderr.write(f"{as_json(error) if asked_for_json() else f'error {error}'}\n")
    return Exit.USAGE
