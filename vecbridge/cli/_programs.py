"""Commands that read their arguments by themselves: they need no Typer, and so not the extra."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from types import MappingProxyType

from vecbridge._errors import MissingDependencyError


@dataclass(frozen=True)
class Program:
    """A command that is a module of its own.

    Attributes:
        module: what is run, as by ``python -m``.
        needs: the extras of vecbridge that it needs, each with a package that it brings.
        help: one line about it.
        words: the commands of its own, for the shell to complete.
    """

    module: str
    needs: Mapping[str, str]
    help: str
    words: tuple[str, ...] = ()


PROGRAMS: Mapping[str, Program] = MappingProxyType(
    {
        "conformance": Program(
            "vecbridge_conformance",
            {"conformance": "hypothesis"},
            "Test whether a store conforms to the contract.",
            ("run", "explain", "compare"),
        ),
        "fiftyone": Program(
            "vecbridge.fiftyone",
            {"fiftyone": "fiftyone"},
            "Switch FiftyOne to vecbridge, and back.",
            ("enable", "disable", "status", "adopt", "sync", "move", "orphans"),
        ),
        "demo": Program(
            "vecbridge.demo",
            {"milvus": "pymilvus", "fiftyone": "fiftyone", "cli": "rich"},
            "Find similar images in three stores, and compare the rankings.",
        ),
    }
)


def run_program(name: str, words: Sequence[str]) -> None:
    """Run a program in this process, which ends with it.

    Args:
        name: one of :data:`PROGRAMS`.
        words: its arguments.

    Raises:
        MissingDependencyError: one of its extras is not installed.
        SystemExit: always, otherwise.
    """
    program = PROGRAMS[name]
    missing = [each for each in program.needs.values() if find_spec(each) is None]
    if missing:
        raise MissingDependencyError(
            f"`vecbridge {name}` needs packages that are not installed ({', '.join(missing)}): "
            f"pip install 'vecbridge[{','.join(program.needs)}]'",
            name=missing[0],
        )
    sys.argv[1:] = words
    runpy.run_module(program.module, run_name="__main__", alter_sys=True)
    sys.exit(0)
