from __future__ import annotations

import numpy as np
import pytest

from tests.unit.transfer.conftest import RECORDS
from vecbridge import Index, Store
from vecbridge.transfer import checksum


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
