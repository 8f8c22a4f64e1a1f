"""The mutants by name: what each gets wrong, where that happened, and which clause forbids it."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, cast

from vecbridge_conformance.mutants._backend import ReferenceBackend, ReferenceSettings
from vecbridge_conformance.mutants._reference import ReferenceIndex

Kind = TypeVar("Kind", bound=type[ReferenceIndex] | type[ReferenceBackend])


@dataclass(frozen=True)
class Mutant:
    """A backend that is broken on purpose.

    Attributes:
        name: its name, such as ``"squared-l2"``.
        defect: what it gets wrong, in one sentence.
        link: a public report of the real defect; empty where one is only easy to imagine.
        clause: the clause that must kill it.
        backend: the broken backend's class.
    """

    name: str
    defect: str
    link: str
    clause: str
    backend: type[ReferenceBackend]


MUTANTS: dict[str, Mutant] = {}
"""Every mutant by its name."""


class MutantSettings(ReferenceSettings):
    """Settings of a mutant.

    Attributes:
        mutant: its name; the correct reference where there is none.
    """

    mutant: str | None = None


class MutantBackend(ReferenceBackend):
    """The backend that :attr:`MutantSettings.mutant` names.

    One class for an entry point, so that a mutant is run as any backend is: by name, with options.
    """

    settings_type = MutantSettings

    def __new__(cls, settings: MutantSettings) -> MutantBackend:
        name = settings.mutant
        if name is None:
            return object.__new__(cls)
        bases: tuple[type, ...] = (MUTANTS[name].backend, MutantBackend)
        chosen: Any = type(name, bases, {})  # pyright: ignore[reportGeneralTypeIssues]
        return cast(MutantBackend, object.__new__(chosen))


def mutant(name: str, *, clause: str, link: str = "") -> Callable[[Kind], Kind]:
    """Register a broken index or backend; its docstring says what it gets wrong."""

    def register(kind: Kind) -> Kind:
        parts: dict[str, Any] = {"index_type": kind}
        backend = (
            kind
            if issubclass(kind, ReferenceBackend)
            else type(kind.__name__, (ReferenceBackend,), parts)
        )
        defect = (inspect.getdoc(kind) or "").partition("\n\n")[0].replace("\n", " ")
        MUTANTS[name] = Mutant(name, defect, link, clause, backend)
        return kind

    return register
