"""The command line: ``vecbridge-conformance run NAME``, ``explain CLAUSE``, ``compare A B``."""

from __future__ import annotations

import argparse
import shutil
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path

from vecbridge import VecbridgeError
from vecbridge_conformance import LAYERS, Deployment, Hung, clauses, run_suite
from vecbridge_conformance._catalogue import functions
from vecbridge_conformance._clauses import mark_of
from vecbridge_conformance._deployment import parse_options
from vecbridge_conformance._watch import LIMIT_S
from vecbridge_conformance.reports import SIGNS, differences, read_report

CONFORMS, FAILS, USAGE = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: the command line's words; the process's own by default.

    Returns:
        0 where the store conforms (``compare``: where nothing differs), 1 where it does not, 2
        for a command that cannot be followed.
    """
    try:
        given = _parser().parse_args(arguments)
    except SystemExit as stop:
        return CONFORMS if stop.code in {0, None} else USAGE
    try:
        code: int = given.command(given)
    except (ValueError, VecbridgeError, Hung) as error:
        print(error, file=sys.stderr)
        return USAGE
    return code


def script() -> None:
    """Run the suite: the entry point of the console script."""
    raise SystemExit(main())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="vecbridge-conformance",
        description="Where does a store keep the vecbridge contract, and where not?",
    )
    commands = parser.add_subparsers(required=True, metavar="run | explain | compare")
    run = commands.add_parser("run", help="run the suite on a backend")
    run.set_defaults(command=_run)
    run.add_argument("backend", help="name for vecbridge.get_backend")
    run.add_argument("--option", "-o", action="append", default=[], metavar="KEY=VALUE")
    run.add_argument("--label", default="", help="name of the column in the matrix")
    run.add_argument("--layer", default="", help=f"some of {','.join(LAYERS)}; all by default")
    run.add_argument("--report", metavar="DIR", help="where to write JSON, Markdown and HTML")
    run.add_argument(
        "--limit",
        type=float,
        default=LIMIT_S,
        metavar="SECONDS",
        help="what a test may take before it is ended, 0 for no limit (default: %(default)g)",
    )
    run.add_argument("-k", default="", metavar="WORDS", help="only tests whose names match")
    explain = commands.add_parser("explain", help="what a clause says, and what tests it")
    explain.set_defaults(command=_explain)
    explain.add_argument("clause")
    compare = commands.add_parser("compare", help="where two reports differ")
    compare.set_defaults(command=_compare)
    compare.add_argument("one", type=Path, metavar="A.json")
    compare.add_argument("other", type=Path, metavar="B.json")
    return parser


def _run(given: argparse.Namespace) -> int:
    code = run_suite(
        Deployment(given.backend, parse_options(given.option), given.label),
        layers=[word for word in given.layer.split(",") if word],
        report=None if given.report is None else Path(given.report),
        words=given.k,
        limit=given.limit,
    )
    return {0: CONFORMS, 4: USAGE, 5: USAGE}.get(code, FAILS)


def _explain(given: argparse.Namespace) -> int:
    wanted = clauses().get(given.clause.upper())
    if wanted is None:
        known = ", ".join(clauses())
        raise ValueError(f"the contract has no clause {given.clause!r}; it has {known}")
    print(f"{wanted.id} ({wanted.family})\n\n{_filled(wanted.text)}\n\nTests:")
    for name, function in functions().items():
        if wanted.id in mark_of(function).clauses:
            hint = " ".join((function.__doc__ or "").split())
            print(f"  {name}\n{_filled(hint, ' ' * 6)}")
    return CONFORMS


def _filled(text: str, indent: str = "") -> str:
    """Return text in lines that the terminal need not break."""
    width = shutil.get_terminal_size().columns
    return textwrap.fill(
        text, width, initial_indent=indent, subsequent_indent=indent, break_on_hyphens=False
    )


def _compare(given: argparse.Namespace) -> int:
    one, other = read_report(given.one), read_report(given.other)
    if one["suite"] != other["suite"]:
        print(f"note: the suites differ ({one['suite']}, {other['suite']})")
    found = differences(one, other)
    print(f"{'clause':<12}{one['label']:<24}{other['label']}")
    for name, first, second in found:
        print(f"{name:<12}{SIGNS[first]} {first:<22}{SIGNS[second]} {second}")
    print(f"{len(found)} of {len(clauses())} clauses differ")
    return FAILS if found else CONFORMS


if __name__ == "__main__":
    script()
