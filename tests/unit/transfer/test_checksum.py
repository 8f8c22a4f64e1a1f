from __future__ import annotations

import numpy as np
import pytest

from tests.unit.transfer.conftest import RECORDS
from vecbridge import Index, Store
from vecbridge.transfer import Checksum, checksum


def test_the_order_of_the_records_does_not_matter(store: Store, source: Index) -> None:
    other = store.create_index(
        "other", dimension=3, metric="euclidean", fields=dict(source.info.fields)
    )
    records = next(iter(source.scan(RECORDS)))
    backwards = slice(None, None, -1)
    other.upsert(
        records.ids[backwards],
        records.vectors[backwards],
        {name: column[backwards] for name, column in records.fields.items()},
    )
    assert checksum(other) == checksum(source)


@pytest.mark.parametrize(
    ("vector", "fields"),
    [
        ([1.0, 2.0, np.nextafter(np.float32(3), np.float32(4))], {"n": [1]}),
        ([1.0, 2.0, 3.0], {"n": [2]}),
        ([2.0, 1.0, 3.0], {"n": [1]}),
    ],
    ids=["one bit of a vector", "a field", "the order of the values"],
)
def test_the_least_change_shows(
    store: Store, vector: list[float], fields: dict[str, list[int]]
) -> None:
    index = store.create_index("n", dimension=3, fields={"n": "integer"})
    index.upsert(["a", "b"], [[1, 2, 3], [4, 5, 6]], {"n": [1, 2]})
    before = checksum(index)
    index.upsert(["a"], [vector], fields)
    assert checksum(index) != before


def test_the_sign_of_a_zero_and_swapped_vectors_show(store: Store) -> None:
    digests = set()
    for number, rows in enumerate(([[0.0], [1.0]], [[-0.0], [1.0]], [[1.0], [0.0]])):
        index = store.create_index(f"i{number}", dimension=1)
        index.upsert(["a", "b"], rows)
        digests.add(checksum(index).digest)
    assert len(digests) == 3


def test_the_names_of_fields_show(store: Store) -> None:
    digests = set()
    for name in ("label", "caption"):
        index = store.create_index(name, dimension=1, fields={name: "string"})
        index.upsert(["a"], [[1.0]], {name: ["cat"]})
        digests.add(checksum(index).digest)
    assert len(digests) == 2


def test_an_empty_index_has_one_too(store: Store) -> None:
    assert checksum(store.create_index("none", dimension=2)).records == 0


def test_progress_ends_with_everything(source: Index) -> None:
    told: list[tuple[str, int, int]] = []
    checksum(source, progress=lambda stage, done, total: told.append((stage, done, total)))
    assert told[-1] == ("reading", RECORDS, RECORDS)


def test_checksums_of_ranges_add_up_to_that_of_the_index(source: Index) -> None:
    whole = checksum(source)
    for count in (1, 2, 7, RECORDS):
        parts = [
            checksum(source, start=each.start, stop=each.stop) for each in source.partitions(count)
        ]
        assert sum(part.records for part in parts) == RECORDS
        assert sum(parts, Checksum()) == whole
        assert sum(parts[::-1], Checksum()) == whole
        assert len(set(parts)) == len(parts)


def test_adding_is_commutative_and_nothing_adds_nothing(store: Store) -> None:
    empty = checksum(store.create_index("none", dimension=2))
    assert empty == Checksum()
    one, other = Checksum(1, "f" * 32), Checksum(2, "0" * 15 + "1" + "f" * 15 + "e")
    assert one + other == other + one == Checksum(3, "0" * 16 + "f" * 15 + "d")
    assert one + empty == empty + one == one
    assert (one + other) + one == one + (other + one)
    with pytest.raises(TypeError):
        one + 1  # type: ignore[operator]


def test_a_changed_record_shows_in_the_range_that_holds_it(store: Store, source: Index) -> None:
    ranges = source.partitions(5)
    before = [checksum(source, start=each.start, stop=each.stop) for each in ranges]
    name = next(iter(source.scan(1))).ids[0]
    records = source.fetch([name])
    source.upsert([name], records.vectors + 1, records.fields)
    after = [checksum(source, start=each.start, stop=each.stop) for each in ranges]
    changed = [
        each for each, *sums in zip(ranges, before, after, strict=True) if len(set(sums)) > 1
    ]
    assert [name in each for each in changed] == [True]


def test_progress_of_a_range_never_says_more_than_there_is(source: Index) -> None:
    told: list[tuple[str, int, int]] = []
    (first, *_) = source.partitions(4)
    found = checksum(
        source,
        stop=first.stop,
        progress=lambda stage, done, total: told.append((stage, done, total)),
    )
    assert told[-1] == ("reading", found.records, found.records)
