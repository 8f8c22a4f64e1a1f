"""Random filters mean on Lite and on a server what they mean, however they are asked.

``VECBRIDGE_FILTERS`` says how many; 20 000 take some 20 minutes.
"""

from __future__ import annotations

import operator
import uuid
from collections.abc import Callable
from functools import reduce

import numpy as np

from tests.filters.asking import differences, how_many
from tests.filters.differential import compare, fields_of
from tests.filters.making import FIELDS, columns, conditions, fill, ids
from vecbridge import Filter, Index, Store, field


def test_milvus_answers_or_refuses_a_filter_as_it_means(make_index: Callable[..., Index]) -> None:
    index = fill(make_index(dimension=2, metric="euclidean", fields=FIELDS))

    assert differences(index, conditions(how_many(250), seed=2)) == []


def test_filters_over_every_type_that_it_has_are_answered(milvus_store: Store) -> None:
    name, fields = f"t_{uuid.uuid4().hex}", fields_of(milvus_store)
    index = milvus_store.create_index(name, dimension=2, metric="euclidean", fields=fields)
    outcome = compare(index, how_many(100), seed=3)

    assert outcome.wrong == []
    assert outcome.pushed > 0, str(outcome)


def test_chains_of_thousands_of_conditions_are_answered(make_index: Callable[..., Index]) -> None:
    index = fill(make_index(dimension=2, metric="euclidean", fields=FIELDS))
    values = [value for value in columns()["i"] if value > 4000]
    far = [(field("i") > value) & (field("f") > 2.0) for value in range(2000)]
    for chain in (
        reduce(operator.or_, [field("i") == value for value in [*range(4000, 8000), *values]]),
        ~reduce(operator.and_, [field("i") != value for value in [*range(4000, 8000), *values]]),
        field("i").is_in([*range(4000, 104_000), *values]),
    ):
        found = index.search([0, 0], 200, where=chain)[0].ids
        assert sorted(found) == sorted(index.search([0, 0], None, where=chain)[0].ids)
        assert len(found) == len(values)
    mixed: Filter = reduce(operator.or_, far)
    assert index.search([0, 0], 200, where=mixed) == index.search(
        [0, 0], 200, where=(field("i") > 0) & (field("f") > 2.0)
    )


def test_ids_beyond_16_bits_are_read_and_deleted_as_they_are(
    make_index: Callable[..., Index],
) -> None:
    index = fill(make_index(dimension=2, metric="euclidean", fields=FIELDS))
    names = ids()
    vectors = index.fetch(names).vectors

    assert np.array_equal(vectors[:, 0], np.arange(len(names)))
    assert sorted(name for page in index.scan(7) for name in page.ids) == sorted(names)
    assert index.search([0, 0], 9, within=names[:150])[0].ids == tuple(names[:9])
    index.delete(names[::2])
    assert index.fetch(names).ids == tuple(names[1::2])
