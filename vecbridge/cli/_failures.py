"""End a command that cannot go on: its exit code, and its message to people and programs.

Without Typer, since the programs that parse arguments by themselves end in the same way.
"""

from __future__ import annotations

import json
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import IntEnum

from vecbridge._addresses import resembles_address
from vecbridge._errors import (
    BackendError,
    ConfigurationError,
    InvalidInputError,
    MissingDependencyError,
    UnsupportedError,
    VecbridgeError,
)
from vecbridge._redaction import hidden_parts, redacted_message, without_secrets
from vecbridge.cli._filter_text import strings_of

_DETAILS = ("backend", "operation", "retryable", "capability")
_FILTER = "--where"
_USAGE = (ConfigurationError, InvalidInputError, MissingDependencyError, UnsupportedError)


class Exit(IntEnum):
    """Exit codes, for scripts."""

    OK = 0
    NO = 1
    """The answer is no: a check failed, two stores differ, an index is not there."""

    USAGE = 2
    """The command or the configuration cannot be followed."""

    STORE = 3
    """The store cannot be reached, or failed."""

    BUG = 70
    """An unforeseen error, to be reported; the number that ``sysexits.h`` has for it."""

    PIPE = 141
    """What reads the output has ended before it, as in ``| head``; the number of shells for it."""


@contextmanager
def closed_pipes_told() -> Iterator[None]:
    """End the process, without a word, where the program that reads the output has ended."""
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # The interpreter flushes once more when it ends, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(Exit.PIPE)


def code_of(error: Exception) -> Exit:
    """Return the exit code of an error."""
    if isinstance(error, BackendError):
        return Exit.STORE
    if isinstance(error, (*_USAGE, OSError)):
        return Exit.USAGE
    return Exit.NO if isinstance(error, VecbridgeError) else Exit.BUG


def message_of(error: Exception) -> str:
    """Return what an error says, without the number that the operating system gives it."""
    if isinstance(error, OSError) and error.filename and not isinstance(error, VecbridgeError):
        return publishable(f"{error.filename}: {error.strerror}")
    return publishable(str(error), pieces=not isinstance(error, VecbridgeError))


def publishable(message: str, *, misused: bool = False, pieces: bool = True) -> str:
    """Return a message without the words of the command line that may hold a password.

    Args:
        message: it may quote any of the words.
        misused: whether the words could not even be parsed; then an address is taken for one
            however little is left of its form.
        pieces: as of :func:`vecbridge._redaction.without_secrets`.
    """
    words = [part for given in _given(filters=not misused) for part in given]
    hidden = hidden_parts(words)
    secrets = [each for each in hidden if misused or resembles_address(each)]
    return without_secrets(message, secrets, pieces=pieces)


def _given(*, filters: bool) -> Iterator[Sequence[str]]:
    """Yield each word of the command line, and what follows its first equals sign.

    Args:
        filters: yield of a filter only its strings, where nothing else in it can be a secret.
    """
    before = ""
    for word in sys.argv[1:]:
        option, _, value = word.partition("=")
        where = word if before == _FILTER else value if option == _FILTER else None
        strings = strings_of(where) if filters and where is not None else None
        yield (word, value) if strings is None else strings
        before = word


def as_json(error: Exception) -> str:
    """Return an error as one line of JSON: type, message, exit code, and further details."""
    details = {name: getattr(error, name) for name in _DETAILS if hasattr(error, name)}
    return failure(type(error).__name__, message_of(error), code_of(error), **details)


def tell_bug(error: Exception, *, for_program: bool) -> None:
    """Write an unforeseen error to the error stream, with its traceback."""
    advice = "this is a bug; please report it, with the lines above and the command"
    lines = [*traceback.format_exception(error), as_json(error) if for_program else advice, "\n"]
    # What others raise may quote the address of a database, password and all.
    sys.stderr.write(publishable(redacted_message("".join(lines))))


def failure(kind: str, message: str, code: int, **more: object) -> str:
    """Return a line of JSON that says why a command cannot be followed."""
    error = {"type": kind, "message": message, "exit_code": int(code), **more}
    return json.dumps({"error": error}, ensure_ascii=False)


def asked_for_json(words: Sequence[str] | None = None) -> bool:
    """Return whether a program reads the answer; asked before parsing, which may fail."""
    return "--json" in (sys.argv[1:] if words is None else words)
