"""The ledger of deviations: known departures from the contract, checked strictly.

A backend keeps it as ``deviations.toml`` in its package:

.. code-block:: toml

    [[deviation]]
    clause = "READ-3"
    kind = "upstream"            # or "notimpl", "by-design"
    reason = "the server drops the sign of a zero"
    link = "https://example.com/issues/1"
    test = "test_a_vector_comes_back_bit_for_bit"    # or with parameters: "test_x[32768]"
    raises = "AssertionError"
    applies_to = "some-server<3"
    where = { shared = true }    # only on deployments that declare so; levels are a sorted list
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata, resources
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from vecbridge import Capabilities
from vecbridge_conformance._clauses import clauses

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Deviation", "LedgerError", "capability_values", "ledger_of", "read_ledger"]

_KINDS = ("notimpl", "upstream", "by-design")
_REQUIRED = ("clause", "kind", "reason", "link", "raises")
_OPTIONAL = ("test", "applies_to", "where")


class LedgerError(ValueError):
    """A ledger cannot be relied on: the message says which entry, and why."""


@dataclass(frozen=True)
class Deviation:
    """One known departure from the contract.

    Attributes:
        clause: what is departed from.
        kind: ``notimpl`` (ours to do), ``upstream`` (the store's defect) or ``by-design``.
        reason: what happens instead.
        link: where it is tracked or explained.
        raises: class of the error that its test ends with.
        test: the one test that shows it, for all its parameters or with them, as reports write
            it: ``"test_x[32768]"``; without it, at least one test of the clause must.
        applies_to: a requirement on an installed package, such as ``milvus-lite<3.4``.
        where: capabilities that a deployment must have for the entry to be about it.
    """

    clause: str
    kind: str
    reason: str
    link: str
    raises: str
    test: str = ""
    applies_to: str = ""
    where: Mapping[str, Any] = field(default_factory=dict)

    def is_about(self, test: str, cited: Sequence[str]) -> bool:
        """Return whether a test, by its name with its parameters, may show this deviation."""
        return self.clause in cited and (not self.test or self.names_only(test))

    def names_only(self, test: str) -> bool:
        """Return whether this is the one test, or one with the parameters, that must show it."""
        return self.test in {test, test.partition("[")[0]}

    def explains(self, error: BaseException) -> bool:
        """Return whether the error is of the class expected."""
        return self.raises in {kind.__name__ for kind in type(error).__mro__}

    def holds_for(self, capabilities: Capabilities) -> bool:
        """Return whether the entry is about deployments with these capabilities."""
        held = capability_values(capabilities)
        return all(held[name] == wanted for name, wanted in self.where.items())

    def check_version(self, place: str) -> None:
        """Refuse an entry about a version that is not installed: it has to go.

        Args:
            place: the ledger, for the message.

        Raises:
            LedgerError: what ``applies_to`` asks for is not installed, or is no requirement.
        """
        if not self.applies_to:
            return
        place = f"{place}, {self.clause}"
        try:
            wanted = Requirement(self.applies_to)
            installed = metadata.version(wanted.name)
        except InvalidRequirement as error:
            raise LedgerError(f"{place}: applies_to is no requirement: {error}") from error
        except metadata.PackageNotFoundError as error:
            raise LedgerError(
                f"{place}: applies_to names {error}, which is not installed"
            ) from error
        if not wanted.specifier.contains(installed, prereleases=True):
            raise LedgerError(
                f"{place}: applies to {self.applies_to}, and {installed} is installed. Run "
                f"without the entry, then remove it or widen it"
            )


def ledger_of(backend: object, capabilities: Capabilities) -> list[Deviation]:
    """Return the deviations that a package admits for a deployment with these capabilities.

    Raises:
        LedgerError: the ledger is wrong, or no longer true of what is installed.
    """
    package = type(backend).__module__.partition(".")[0]
    file = resources.files(package).joinpath("deviations.toml")
    if not file.is_file():
        return []
    entries = read_ledger(file.read_text(encoding="utf-8"), package)
    about = [entry for entry in entries if entry.holds_for(capabilities)]
    for entry in about:
        entry.check_version(f"{package}/deviations.toml")
    return about


def read_ledger(text: str, package: str) -> list[Deviation]:
    """Read a ledger.

    Raises:
        LedgerError: it is not TOML, or an entry is incomplete or names what does not exist.
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise LedgerError(f"{package}/deviations.toml is not TOML: {error}") from error
    if set(document) - {"deviation"}:
        raise LedgerError(f"{package}/deviations.toml: entries are [[deviation]] tables")
    return [
        _read_entry(entry, f"{package}/deviations.toml, entry {number}")
        for number, entry in enumerate(document.get("deviation", []), 1)
    ]


def _read_entry(entry: Mapping[str, Any], place: str) -> Deviation:
    missing = [name for name in _REQUIRED if not str(entry.get(name, "")).strip()]
    unknown = sorted(set(entry) - {*_REQUIRED, *_OPTIONAL})
    if missing or unknown:
        raise LedgerError(f"{place}: missing {missing}, unknown {unknown}")
    if entry["clause"] not in clauses():
        raise LedgerError(f"{place}: the contract has no clause {entry['clause']!r}")
    if entry["kind"] not in _KINDS:
        raise LedgerError(f"{place}: kind must be one of {', '.join(_KINDS)}")
    absent = sorted(set(entry.get("where", {})) - set(Capabilities.__dataclass_fields__))
    if absent:
        raise LedgerError(f"{place}: where names {absent}, which are no capabilities")
    return Deviation(**entry)


def capability_values(capabilities: Capabilities) -> dict[str, Any]:
    """Return capabilities as JSON has them."""
    return {
        name: sorted(value) if isinstance(value, frozenset) else value
        for name, value in asdict(capabilities).items()
    }
