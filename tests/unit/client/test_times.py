"""Times that are odd: of pandas, of zones that make no sense, at the ends of the years."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone, tzinfo
from typing import Any

import numpy as np
import pytest

import vecbridge
from vecbridge import FieldType, FilterSyntaxError, Index, InvalidArgumentError, field
from vecbridge.filters import parse

pd: Any = pytest.importorskip("pandas")
TIME = datetime(2020, 1, 1, tzinfo=timezone.utc)
NEXT = pd.Timestamp(TIME) + pd.Timedelta(1, "ns")


class Odd(tzinfo):
    """A zone that gives what no zone gives, or fails."""

    def __init__(self, offset: timedelta | None) -> None:
        self.offset = offset

    def utcoffset(self, when: datetime | None) -> timedelta:
        if self.offset is None:
            raise RuntimeError("no offset today")
        return self.offset

    def dst(self, when: datetime | None) -> None:
        return None

    def tzname(self, when: datetime | None) -> None:
        return None


@pytest.fixture
def index() -> Index:
    fields: dict[str, FieldType] = {"t": "timestamp", "f": "float"}
    made = vecbridge.get_backend("sklearn").create_index("a", dimension=1, fields=fields)
    made.upsert(["a"], [[0]], {"t": [TIME], "f": [0.5]})
    return made


def test_nanoseconds_are_compared_and_not_cut_off(index: Index) -> None:
    t: Any = field("t")
    expected = {t == NEXT: 0, t != NEXT: 1, t < NEXT: 1, t >= NEXT: 0, t.is_in([NEXT]): 0}
    for where, count in expected.items():
        assert index.count(where=where) == count, where
    assert index.count(where=t == pd.Timestamp(TIME)) == 1
    with pytest.raises(FilterSyntaxError, match="microseconds"):
        parse('t == timestamp("2020-01-01T00:00:00.000000001Z")')


@pytest.mark.parametrize(
    ("time", "said"),
    [
        (pd.NaT, "use None"),
        (NEXT, "nanoseconds"),
        (TIME.replace(tzinfo=Odd(timedelta(days=2))), "zone is unusable"),
        (TIME.replace(tzinfo=Odd(None)), "no offset today"),
        (TIME.replace(tzinfo=None), "no time zone"),
    ],
)
def test_what_is_no_time_is_refused_and_the_error_says_why(
    index: Index, time: Any, said: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=said):
        index.update_fields(["a"], {"t": [time]})
    if time is not NEXT:
        with pytest.raises(InvalidArgumentError, match=said):
            index.count(where=field("t") == time)


@pytest.mark.parametrize("value", [2**53 + 1, np.int64(2**53 + 1), np.longdouble(1) / 3])
def test_a_number_that_no_float_equals_is_not_rounded(index: Index, value: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no float of 64 bits"):
        index.update_fields(["a"], {"f": [value]})
    assert index.fetch(["a"]).fields["f"] == [0.5]


def test_more_partitions_than_anyone_needs_take_no_time(index: Index) -> None:
    assert index.partitions(10**30) == [vecbridge.IdRange("\x01")]


def test_an_update_without_fields_looks_for_its_ids_all_the_same(index: Index) -> None:
    with pytest.raises(vecbridge.InvalidIdError):
        index.update_fields(["none"], {})
