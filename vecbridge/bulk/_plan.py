"""Plans: an index cut into partitions, each of which is processed by itself."""

from __future__ import annotations

import json
import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Protocol, TypeVar

from vecbridge._client import Index
from vecbridge._client import _validate as validate
from vecbridge._client._ranges import FIRST_ID
from vecbridge._errors import InvalidArgumentError

logger = logging.getLogger(__name__)

_PARTITION_BYTES = 32 << 20
"""Bytes of vectors of a partition: what a worker that is killed has to do again, some seconds."""

_LEAST_SPREAD = 16
_LEAST_RECORDS = 1000
"""Fewer are read in the time that it takes to begin a partition."""


@dataclass(frozen=True)
class Partition:
    """A range of ids of an index.

    Attributes:
        number: its place in the plan, from 0.
        start: the first id that may be in it; ``None`` for no lower end.
        stop: the first id beyond it; ``None`` for no upper end.
        records: about how many records it has.

    Raises:
        InvalidArgumentError: one of these has another type or is not a possible id, or the range
            ends before it begins.
    """

    number: int
    start: str | None
    stop: str | None
    records: int

    def __post_init__(self) -> None:
        for name in ("number", "records"):
            _refuse_uncounted(f"{name} of a partition", getattr(self, name))
        for edge in (self.start, self.stop):
            _refuse_no_border(edge)
        if self.start is not None and self.stop is not None and self.start >= self.stop:
            raise InvalidArgumentError(f"no plan has a {self}: it ends before it begins")

    def __str__(self) -> str:
        lower = "the first id" if self.start is None else f"id {self.start!r}"
        upper = "to the last id" if self.stop is None else f"to before {self.stop!r}"
        return f"partition {self.number} ({lower} {upper})"


@dataclass(frozen=True)
class Plan:
    """An index cut into partitions: every id is in exactly one of them. It pickles.

    Attributes:
        index: name of the index.
        records: number of records that it had when the plan was made.
        partitions: ranges of ids, ascending.

    Raises:
        InvalidArgumentError: one of these has another type, or the partitions do not hold every id
            once.
    """

    index: str
    records: int
    partitions: tuple[Partition, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.index, str):
            raise InvalidArgumentError("a plan is of an index by its name, a str")
        _refuse_uncounted("records of a plan", self.records)
        # What comes from elsewhere is of any type.
        parts: object = self.partitions
        if not isinstance(parts, tuple) or any(type(each) is not Partition for each in parts):
            raise InvalidArgumentError("the partitions of a plan are a tuple of Partition")
        edges = [None, *(part.start for part in self.partitions[1:]), None]
        wanted = [(at, *edges[at : at + 2]) for at in range(len(self.partitions))]
        found = [(part.number, part.start, part.stop) for part in self.partitions]
        # The lower end of a single range is the smallest of all ids.
        if len(found) == 1 and found[0][1] == FIRST_ID:
            wanted = [(0, FIRST_ID, None)]
        # A start that is None again would join a partition to the first id twice.
        if not found or found != wanted or None in edges[1:-1]:
            raise InvalidArgumentError("the partitions of this plan do not hold every id once")

    def to_json(self) -> str:
        """Return the plan as JSON, for another program to read."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Return the plan that :meth:`to_json` wrote.

        Raises:
            InvalidArgumentError: the text is not a plan, or its partitions do not hold every id
                once.
        """
        try:
            said: dict[str, Any] = json.loads(text)
            parts = tuple(Partition(**each) for each in said.pop("partitions"))
            return cls(**said, partitions=parts)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            if isinstance(error, InvalidArgumentError):
                raise
            raise InvalidArgumentError(f"this text is not a plan in JSON: {error}") from None


def _refuse_uncounted(name: str, value: object) -> None:
    if type(value) is not int or value < 0:
        raise InvalidArgumentError(f"{name} must be an integer of at least 0; got {value!r}")


def _refuse_no_border(value: object) -> None:
    if value is None:
        return
    fault = validate.id_fault(value, "this border") if isinstance(value, str) else "it is no text"
    if fault:
        raise InvalidArgumentError(f"a partition of a plan begins and ends at ids: {fault}")


class Part(Protocol):
    """What the work on one partition reports.

    Attributes:
        number: of the partition.
        records: how many records were worked on.
    """

    @property
    def number(self) -> int:
        """Return the number of the partition."""
        ...

    @property
    def records(self) -> int:
        """Return how many records were worked on."""
        ...


P = TypeVar("P", bound=Part)


def plan(
    index: Index,
    partitions: int | None = None,
    *,
    beside: Index | None = None,
    spread: bool = False,
) -> Plan:
    """Cut an index into partitions of about as many records each.

    Args:
        index: the index to cut.
        partitions: number of partitions; by default, 32 MiB of vectors per partition. There are
            fewer if there are fewer records, and only one if the index cannot read ranges of ids
            (``capabilities.partitions``): each range would then need all of the ids.
        beside: another index of which the same ranges are read; a single partition is used if it
            cannot read ranges either.
        spread: several workers will share the partitions; the default number is then at least 16,
            if there are enough records.

    Raises:
        InvalidArgumentError: ``partitions`` is below 1.
        BackendError: the store failed.

    Example:
        >>> import vecbridge
        >>> from vecbridge.bulk import plan
        >>> index = vecbridge.get_backend("sklearn").create_index("points", dimension=1)
        >>> index.upsert(["a", "b", "c", "d"], [[0], [1], [2], [3]])
        >>> [(part.start, part.stop) for part in plan(index, 2).partitions]
        [(None, 'c'), ('c', None)]
    """
    records = index.count(consistency="strong")
    if partitions is None:
        by_size = -(-4 * index.info.dimension * records // _PARTITION_BYTES)
        shared = min(_LEAST_SPREAD, records // _LEAST_RECORDS) if spread else 0
        partitions = max(by_size, shared, 1)
    wanted = validate.positive(partitions, "partitions")
    ranged = all(each.capabilities.partitions for each in (index, beside or index))
    if spread and not ranged:
        logger.warning(
            "index %r is worked on by one worker: one of the stores reads no ranges of ids",
            index.info.name,
        )
    if wanted == 1 or not ranged:
        return Plan(index.info.name, records, (Partition(0, None, None, records),))
    ranges = index.partitions(wanted, consistency="strong")
    count = len(ranges)
    # The sum of them is the number of records.
    shares = [records * (at + 1) // count - records * at // count for at in range(count)]
    parts = (
        Partition(at, each.start, each.stop, share)
        for at, (each, share) in enumerate(zip(ranges, shares, strict=True))
    )
    return Plan(index.info.name, records, tuple(parts))


def each_once(count: int, parts: Iterable[P], kind: type[P]) -> list[P]:
    """Return what was reported of the parts of some work, in their order.

    Args:
        count: how many parts there are.
        parts: the reports.
        kind: of a report.

    Raises:
        InvalidArgumentError: the report of one is missing, is there twice, or is of none.
    """
    found = list(parts)
    for part in found:
        if not isinstance(part, kind):
            raise InvalidArgumentError(
                f"each report must be a {kind.__name__}; got one of type {type(part).__name__}"
            )
    found.sort(key=lambda part: part.number)
    numbers, wanted = [part.number for part in found], list(range(count))
    if numbers != wanted:
        missing = sorted({*wanted} - {*numbers})
        twice = sorted(each for each, times in Counter(numbers).items() if times > 1)
        strange = sorted({*numbers} - {*wanted})
        raise InvalidArgumentError(
            f"a plan of {count} partitions is done when each is reported once: missing "
            f"{missing}, more than once {twice}, unknown {strange}"
        )
    return found
