"""Ids made to break out of string-built filters: nothing else is read, changed or removed.

``VECBRIDGE_HOSTILE_IDS`` says how many; a hundred thousand pass as well, and take their time.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable

import numpy as np

from vecbridge import Index

COUNT = int(os.environ.get("VECBRIDGE_HOSTILE_IDS", "1000"))
BYSTANDERS = [f"bystander-{number}" for number in range(50)]
PARTS = [
    *("'", '"', "\\", "\\'", '\\"', "\\\\", "`", "[", "]", "(", ")", "{", "}", ",", ";", "--"),
    *("\n", "\r", "\t", "\x01", "\x1f", "\x7f", "\u2028", "\u202e", "\ufeff", "\u0301", "é"),
    *(
        "😀",
        "👨‍👩‍👧",
        "日本",
        "𝔘",
        "%",
        "_",
        "*",
        "$",
        "{ids}",
        "\\n",
        "\\u0041",
        "\\x41",
        "&&",
        "||",
    ),
    *(" or ", " and ", " not in ", " in [", 'pk != ""', "pk >= ''", "1 == 1", "true", "like '%'"),
    *("'] or pk not in ['", '"] or pk not in ["', '" or pk != "', "')) or ((pk > '", "null"),
]


def hostile_ids(count: int) -> list[str]:
    """Distinct ids of 1 to 512 bytes; one in ten is as long as an id may be."""
    rng, ids = random.Random(5), dict.fromkeys([*PARTS, "a" * 512, "語" * 170 + "zz"])
    while len(ids) < count:
        text, long = "", rng.random() < 0.1
        for _ in range(400 if long else rng.randint(2, 8)):
            more = rng.choice(PARTS)
            if len((text + more).encode()) > 512:
                break
            text += more
        ids[text] = None
    return [*ids][:count]


def test_hostile_ids_touch_nothing_but_themselves(make_index: Callable[..., Index]) -> None:
    index = make_index(dimension=3, metric="euclidean")
    ids = hostile_ids(COUNT)
    vectors = np.random.default_rng(1).standard_normal((len(ids), 3)).astype(np.float32)
    others = np.random.default_rng(2).standard_normal((len(BYSTANDERS), 3)).astype(np.float32)
    index.upsert(BYSTANDERS, others)
    index.upsert(ids, vectors)
    assert index.count() == len(ids) + len(BYSTANDERS)

    found = index.fetch(ids)
    assert (found.ids, found.missing) == (tuple(ids), ())
    assert np.array_equal(found.vectors, vectors)
    scanned = [name for records in index.scan(97) for name in records.ids]
    assert sorted(scanned) == sorted([*ids, *BYSTANDERS])

    absent = [f"{name[:100]}?" for name in ids]
    assert not index.contains(absent).any()
    for part in (ids[:7], ids[::3], ids):
        (hits,) = index.search(others[0], len(part) + 9, within=part)
        assert set(hits.ids) == set(part)
        (native,) = index.search(others[0], len(part), within=part, ranking="native")
        assert set(native.ids) == set(part)
    for name in ids[:100]:
        assert index.search(others[0], 9, within=[name], ranking="native")[0].ids == (name,)

    index.delete(absent)
    assert index.count() == len(ids) + len(BYSTANDERS)
    gone, kept = ids[::2], ids[1::2]
    for name in gone[:20]:
        index.delete([name])
    index.delete(gone)
    assert index.count() == len(kept) + len(BYSTANDERS)
    assert index.fetch(ids).missing == tuple(gone)
    assert np.array_equal(index.fetch(kept).vectors, vectors[1::2])
    assert np.array_equal(index.fetch(BYSTANDERS).vectors, others)
    index.delete(kept)
    assert index.count() == len(BYSTANDERS)
