"""The clauses of the contract, and the marks by which a test says which of them it checks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, NoReturn, TypeVar

from _pytest.outcomes import Skipped

from vecbridge import Capabilities

_CLAUSE = re.compile(r"^\*\*([A-Z]+-\d+)\.\*\*\s+(.+?)(?=\n\s*\n|\Z)", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^## ([^:\n]+): ([A-Z]+)$", re.MULTILINE)
_MARK = "__vecbridge_mark__"

Function = TypeVar("Function", bound=Callable[..., Any])


@dataclass(frozen=True)
class Clause:
    """One numbered statement of the contract.

    Attributes:
        id: such as ``"SEARCH-3"``.
        text: what it says, on one line, in Markdown.
        family: what its family is about, such as ``"Searching"``.
    """

    id: str
    text: str
    family: str


@dataclass(frozen=True)
class Mark:
    """What a test says about itself.

    Attributes:
        clauses: ids of the clauses that it checks.
        requires: capabilities without which it has nothing to look at. Each is a field of
            :class:`vecbridge.Capabilities`, true or not empty; or a limit (``max_k``), set; or a
            level of consistency (``consistency:session``); or the lack of one (``no:max_k``).
        refuses: capabilities whose refusal it looks at.
    """

    clauses: tuple[str, ...] = ()
    requires: tuple[str, ...] = ()
    refuses: tuple[str, ...] = ()

    def reason_not_to_run(self, capabilities: Capabilities) -> str | None:
        """Return why the test has nothing to look at in an index with these capabilities."""
        missing = [name for name in self.requires if not _declares(capabilities, name)]
        if missing:
            return f"the index does not declare {', '.join(missing)}"
        present = [name for name in self.refuses if _declares(capabilities, name)]
        if present:
            return f"the index declares {', '.join(present)}, so there is no refusal to look at"
        return None


class Vacuous(Skipped):
    """Ends a test that could not have failed; the clause is reported vacuous, not passed."""


def contract_text() -> str:
    """Return the contract that this suite checks, as shipped with it."""
    return (
        resources.files("vecbridge_conformance").joinpath("contract.md").read_text(encoding="utf-8")
    )


@lru_cache(maxsize=1)
def clauses() -> dict[str, Clause]:
    """Return every clause by its id, in the order of the contract."""
    text = contract_text()
    families = {short: title for title, short in _HEADING.findall(text)}
    found = (
        Clause(name, " ".join(body.split()), families[name.rpartition("-")[0]])
        for name, body in _CLAUSE.findall(text)
    )
    return {clause.id: clause for clause in found}


def clause(*ids: str) -> Callable[[Function], Function]:
    """Say which clauses a test checks.

    Raises:
        LookupError: the contract has no such clause.
    """
    unknown = [name for name in ids if name not in clauses()]
    if unknown or not ids:
        raise LookupError(f"the contract has no clause {', '.join(unknown) or '(none was named)'}")
    return _marking("clauses", ids)


def requires(*capabilities: str) -> Callable[[Function], Function]:
    """Say that a test needs an index that declares these capabilities."""
    return _marking("requires", capabilities)


def refuses(*capabilities: str) -> Callable[[Function], Function]:
    """Say that a test looks at how an index refuses what it does not declare."""
    return _marking("refuses", capabilities)


def vacuous(why: str) -> NoReturn:
    """End a test by saying that it could not have failed here, and why."""
    raise Vacuous(f"vacuous: {why}")


def mark_of(function: Callable[..., Any]) -> Mark:
    """Return what a test said about itself."""
    mark: Mark = getattr(function, _MARK, Mark())
    return mark


def _marking(what: str, values: tuple[str, ...]) -> Callable[[Function], Function]:
    def mark(function: Function) -> Function:
        parts = {**vars(mark_of(function))}
        parts[what] = values + parts[what]
        setattr(function, _MARK, Mark(**parts))
        return function

    return mark


def _declares(capabilities: Capabilities, name: str) -> bool:
    what, _, value = name.partition(":")
    if what == "no":
        return not _declares(capabilities, value)
    held = getattr(capabilities, what)
    return value in held if value else held not in (False, None, frozenset())
