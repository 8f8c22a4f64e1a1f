"""What LanceDB finds by a filter is what the contract says."""

from __future__ import annotations

from tests.filters.differential import compare, fields_of
from tests.live.lancedb.conftest import Opener
from vecbridge import FieldType, field
from vecbridge.filters import Filter


def test_random_filters_find_what_they_mean(opened: Opener) -> None:
    store = opened()
    index = store.create_index("t", dimension=2, metric="euclidean", fields=fields_of(store))
    outcome = compare(index, 80, seed=23)
    assert outcome.wrong == []


def test_zeros_extremes_and_any_character_are_compared_as_they_are(opened: Opener) -> None:
    kinds: dict[str, FieldType] = {
        "f": "float",
        "i": "integer",
        "_distance": "string",
        "Id": "string",
        "id": "string",
    }
    index = opened().create_index("t", dimension=1, metric="euclidean", fields=kinds)
    odd = ["'; --", "\\n\x01\u2028", "\"`''"]
    index.upsert(
        ["a", "b", "c"],
        [[1], [2], [3]],
        {
            "f": [0.0, -0.0, -5e-324],
            "i": [-(2**63), 2**63 - 1, 2**53 + 1],
            "_distance": odd,
            "Id": odd[::-1],
            "id": ["", "x", "X"],
        },
    )

    def found(where: Filter) -> str:
        return "".join(index.search([0], k=9, where=where)[0].ids)

    assert found(field("f") == 0) == found(field("f").is_in([-0.0, 1.0])) == "ab"
    assert found(field("f") < 0.0) == "c"
    assert found(field("f") >= -0.0) == "ab"
    assert found(field("i") <= -(2**63)) == "a"
    assert found(field("i") > 2**53) == "bc"
    assert [found(field("_distance") == text) for text in odd] == ["a", "b", "c"]
    assert [found(field("Id").contains(text)) for text in odd] == ["c", "b", "a"]
    assert found(field("id") == "") == "a"
    assert index.fetch(["c"]).fields["Id"] == [odd[0]]
