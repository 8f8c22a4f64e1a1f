"""Mutants that keep something else than the time, the list or the missing value they were given."""

from __future__ import annotations

from typing import Any, ClassVar

from vecbridge.fields import BaseType, base_of
from vecbridge_conformance.mutants._backend import ReferenceBackend, mutant
from vecbridge_conformance.mutants._reference import ReferenceIndex
from vecbridge_conformance.mutants._shelf import Row

_FIRST = -62_135_596_800_000_000
_LAST = 253_402_300_799_999_999
_HOUR = 3_600_000_000
_EMPTY: dict[BaseType, Any] = {
    "string": "",
    "integer": 0,
    "float": 0.0,
    "boolean": False,
    "timestamp": 0,
    "strings": [],
}


class _Column(ReferenceIndex):
    """Keeps something like a value, which depends on the type of its field."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        kept = [
            row._replace(
                fields={
                    name: self.kept(base_of(self.info.fields[name]), value)
                    for name, value in row.fields.items()
                }
            )
            for row in new
        ]
        return super().merged(rows, kept)

    def kept(self, kind: BaseType, value: Any) -> Any:
        """Return what is kept of a value, of which ``None`` is one."""
        return value


@mutant("missing-becomes-the-default", "REC-13", "milvus-io/milvus/issues/52051")
class MissingBecomesTheDefault(_Column):
    """Keeps a missing value as zero, as an empty text or as an empty list."""

    def kept(self, kind: BaseType, value: Any) -> Any:
        return _EMPTY[kind] if value is None else value


@mutant("empty-text-becomes-missing", "REC-13", "oracle/python-oracledb/issues/298")
class EmptyTextBecomesMissing(_Column):
    """An empty text comes back as a missing value."""

    def kept(self, kind: BaseType, value: Any) -> Any:
        return None if kind == "string" and value == "" else value


@mutant("empty-list-becomes-missing", "REC-12", "RediSearch/RediSearch/pull/537")
class EmptyListBecomesMissing(_Column):
    """A list of no texts comes back as a missing value."""

    def kept(self, kind: BaseType, value: Any) -> Any:
        return None if kind == "strings" and not value else value


class _Times(_Column):
    """Keeps a moment that is near the one it was given."""

    def kept(self, kind: BaseType, value: Any) -> Any:
        if kind != "timestamp" or value is None:
            return value
        return min(max(self.moment(value), _FIRST), _LAST)

    def moment(self, microseconds: int) -> int:
        """Return what is kept of a moment: microseconds since 1970 in UTC."""
        return microseconds


@mutant("times-cut-to-milliseconds", "REC-11", "qlustered/deepdiff/issues/477")
class TimesCutToMilliseconds(_Times):
    """Of a time, milliseconds are kept."""

    def moment(self, microseconds: int) -> int:
        return microseconds // 1000 * 1000


@mutant("times-of-the-local-clock", "REC-11", "fedora-infra/datanommer/issues/73")
class TimesOfTheLocalClock(_Times):
    """Keeps what the clock on the wall shows, and reads it as UTC."""

    def moment(self, microseconds: int) -> int:
        return microseconds + _HOUR


@mutant("times-through-floats", "REC-11", "qdrant/qdrant-client/pull/1310")
class TimesThroughFloats(_Times):
    """Keeps a time as a float of seconds, which is a microsecond off in one of three."""

    def moment(self, microseconds: int) -> int:
        return int(microseconds / 1e6 * 1e6)


@mutant("times-before-1970-lost", "REC-11", "4paradigm/OpenMLDB/issues/3501")
class TimesBefore1970Lost(_Times):
    """A time before 1970 comes back as the beginning of 1970."""

    def moment(self, microseconds: int) -> int:
        return max(microseconds, 0)


class _Lists(_Column):
    """Keeps a list that is like the one it was given."""

    def kept(self, kind: BaseType, value: Any) -> Any:
        return value if kind != "strings" or value is None else self.listed(list(value))

    def listed(self, texts: list[str]) -> list[str]:
        """Return what is kept of a list of texts."""
        return texts


@mutant("lists-as-sets", "REC-12", "elastic/ecs/issues/2372")
class ListsAsSets(_Lists):
    """The texts of a list come back sorted, and each of them once."""

    def listed(self, texts: list[str]) -> list[str]:
        return sorted(set(texts))


@mutant("lists-joined-by-commas", "REC-12", "binwiederhier/ntfy/issues/970")
class ListsJoinedByCommas(_Lists):
    """Joins a list with commas, so that a text with a comma comes back as two."""

    def listed(self, texts: list[str]) -> list[str]:
        return "".join(f"{text}," for text in texts).split(",")[:-1]


@mutant("lists-cut", "REC-12")
class ListsCut(_Lists):
    """Keeps the first 1000 texts of a list, and does not say so."""

    def listed(self, texts: list[str]) -> list[str]:
        return texts[:1000]


@mutant("unchanged-vector-not-written", "WRITE-11", "simonw/llm/pull/1420")
class UnchangedVectorNotWritten(ReferenceIndex):
    """A record with the vector that is stored is not written, though its fields are other ones."""

    def merged(self, rows: list[Row], new: list[Row]) -> list[Row]:
        known = {row.id: row.vector.tobytes() for row in rows}
        changed = [row for row in new if known.get(row.id) != row.vector.tobytes()]
        return super().merged(rows, changed)


class _OfFourTypes(ReferenceIndex):
    declared: ClassVar = {"field_types": frozenset({"string", "integer", "float", "boolean"})}


@mutant("undeclared-types-taken", "CAP-9")
class UndeclaredTypesTaken(ReferenceBackend):
    """Declares four types of fields, and makes an index with a field of another type."""

    index_type = _OfFourTypes
