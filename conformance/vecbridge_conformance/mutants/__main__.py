"""Print the page of the mutants: ``python -m vecbridge_conformance.mutants``."""

from __future__ import annotations

import sys

from vecbridge_conformance.mutants import MUTANTS, Mutant

_INTRODUCTION = """\
# Mutants

The conformance suite is tested by backends that are broken on purpose. Each of the {count} below is
a correct store with one defect, and a test of the clause that forbids the defect must find it; CI
fails when one lives. {reported} of the defects were reported against real stores, databases and
adapters, and the link leads to such a report. The others are easy to imagine.

Run the suite on one of them to see what a failure looks like: their backend is
`vecbridge_conformance.mutants.MutantBackend`, and its setting `mutant` names the defect.

| Mutant | What it gets wrong | Reported | Killed by |
|---|---|---|---|
"""


def _table() -> str:
    """Return the page, in Markdown."""
    mutants = sorted(MUTANTS.values(), key=lambda mutant: mutant.name)
    reported = sum(bool(mutant.link) for mutant in mutants)
    page = _INTRODUCTION.format(count=len(mutants), reported=reported)
    return page + "\n".join(map(_row, mutants)) + "\n"


def _row(mutant: Mutant) -> str:
    where = f"[{_short(mutant.link)}]({mutant.link})" if mutant.link else ""
    return f"| `{mutant.name}` | {mutant.defect} | {where} | {mutant.clause} |"


def _short(link: str) -> str:
    """Return ``owner/name#number`` of an issue or a pull request, ``owner/name`` of a file."""
    owner, name, kind, what = link.removeprefix("https://github.com/").split("/")[:4]
    return f"{owner}/{name}#{what}" if kind in {"issues", "pull"} else f"{owner}/{name}"


if __name__ == "__main__":
    sys.stdout.write(_table())
