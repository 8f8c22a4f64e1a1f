"""The schema of an index in a collection that another program made."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import MappingProxyType
from typing import TypeVar

from vecbridge._contract._field_types import FieldType
from vecbridge._contract._limits import MAX_ID_BYTES, UNLIMITED, FieldLimits
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import SchemaMismatchError
from vecbridge.remote._catalogue import is_name

T = TypeVar("T")


class ForeignSchema:
    """Collects what a collection of another program's holds, and what no field can.

    Args:
        name: of the index.
        place: what the store calls the collection, as in ``table``.

    Attributes:
        unsupported: what each thing is that no field stands for, by its name.

    Example:
        >>> schema = ForeignSchema("photos")
        >>> schema.add("year", "integer?", limits=FieldLimits(smallest=0))
        >>> schema.add("picture", None, "bytes", required=True)
        >>> info = schema.info(3, "cosine")
        >>> dict(info.fields), dict(info.unsupported), set(info.required)
        ({'year': 'integer?'}, {'picture': 'bytes'}, {'picture'})
    """

    def __init__(self, name: str, place: str = "table") -> None:
        self.unsupported: dict[str, str] = {}
        self._name = name
        self._of = f"the {place} of index {name!r}"
        self._fields: dict[str, FieldType] = {}
        self._limits: dict[str, FieldLimits] = {}
        self._required: set[str] = set()

    def add(
        self,
        name: str,
        kind: FieldType | None,
        what: str = "",
        *,
        limits: FieldLimits = UNLIMITED,
        required: bool = False,
    ) -> None:
        """Add what the collection holds under a name: a field, where it can be one.

        Args:
            name: its name.
            kind: type of the field; ``None`` of what is none.
            what: what it is, for people, where it is no field.
            limits: what its values may be.
            required: no record can be written without it, where it is no field.
        """
        if kind is not None and is_name(name):
            self._fields[name] = kind
            if limits != UNLIMITED:
                self._limits[name] = limits
            return
        self.unsupported[name] = what
        if required:
            self._required.add(name)

    def only(
        self, found: Sequence[T], what: str, setting: str, shown: Callable[[T], str] = str
    ) -> T:
        """Return what there is one of.

        Args:
            found: all of them.
            what: what they are, in the plural.
            setting: where the user can name one.
            shown: the name of one.

        Raises:
            SchemaMismatchError: there is none, or several.
        """
        if len(found) == 1:
            return found[0]
        named = f" ({', '.join(map(shown, found))})" if found else ""
        raise SchemaMismatchError(
            f"{self._of} has {len(found)} {what}{named}; name one, with the setting {setting}"
        )

    def metric(self, known: Collection[Metric], given: Metric | None) -> Metric:
        """Return the metric: the one that is given, or the only one that the store knows of.

        Raises:
            SchemaMismatchError: none is given, and none or several are known.
        """
        metric = given or (next(iter(known)) if len(known) == 1 else None)
        if metric is None:
            raise SchemaMismatchError(
                f"{self._of} does not say how distance is measured in it: name the metric, with "
                f"the setting metric"
            )
        return metric

    def info(
        self, dimension: int, metric: Metric, *, max_id_bytes: int = MAX_ID_BYTES
    ) -> IndexInfo:
        """Return the schema."""
        return IndexInfo(
            self._name,
            dimension,
            metric,
            MappingProxyType(self._fields),
            unsupported=MappingProxyType(self.unsupported),
            required=frozenset(self._required),
            limits=MappingProxyType(self._limits),
            max_id_bytes=max_id_bytes,
        )
