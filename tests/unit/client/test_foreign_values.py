"""Values of the wrong kind raise the contract's errors, never those of numpy or of Python."""

from __future__ import annotations

import enum
from typing import Any

import numpy as np
import pytest

from tests.engine import make_engine
from vecbridge import (
    Index,
    InvalidArgumentError,
    InvalidIdError,
    InvalidVectorError,
    field,
    get_backend,
)

NAN = float("nan")


class Label(str, enum.Enum):
    """Strings that do not print as themselves."""

    CAT = "cat"


class Unreadable:
    """Looks like a tensor in a form that has no array."""

    dtype = "sparse"

    def detach(self) -> Unreadable:
        return self

    def cpu(self) -> Unreadable:
        return self

    def numpy(self) -> Any:
        raise TypeError("can't convert this layout")


@pytest.fixture
def index() -> Index:
    return Index(make_engine(2))


@pytest.fixture
def labelled() -> Index:
    index = get_backend("sklearn").create_index(
        "t", dimension=2, fields={"label": "string", "number": "integer"}
    )
    index.upsert(["a", "b"], [[1, 0], [0, 1]], {"label": ["cat", "dog"], "number": [1, 2]})
    return index


@pytest.mark.parametrize("ids", [None, 5, np.array("abc")])
def test_ids_that_are_no_sequence(index: Index, ids: Any) -> None:
    for call in (index.fetch, index.contains, index.delete):
        with pytest.raises(InvalidIdError, match=r"sequence|neither was given"):
            call(ids)


def test_an_enumerated_string_is_the_string_that_it_equals(index: Index) -> None:
    index.upsert([Label.CAT], [[1, 2]])
    assert index.fetch(["cat"]).ids == ("cat",)
    assert index.contains([Label.CAT, "dog"]).tolist() == [True, False]


def test_an_enumerated_string_in_a_field_is_too(labelled: Index) -> None:
    labelled.upsert(["c"], [[1, 2]], {"label": [Label.CAT], "number": [3]})
    assert labelled.fetch(["c"]).fields["label"] == ["cat"]


@pytest.mark.parametrize(
    "values",
    [
        Unreadable(),
        np.empty((0, 2), dtype=object),
        np.empty((0, 2), dtype="datetime64[s]"),
        np.array([[np.longdouble("1e4000"), 1]]),
    ],
)
def test_vectors_that_have_no_array_of_numbers(index: Index, values: Any) -> None:
    if isinstance(values, np.ndarray) and values.size and np.isinf(values).any():
        pytest.skip("long doubles are no longer than doubles here")
    with pytest.raises(InvalidVectorError):
        index.search(values)


def test_the_callers_floating_point_flags_do_not_matter(index: Index) -> None:
    with np.errstate(all="raise"):
        index.upsert(["tiny"], np.array([[1e-300, 1.0]]))
    assert index.fetch(["tiny"]).vectors.tolist() == [[0.0, 1.0]]


@pytest.mark.parametrize("column", ["xy", b"xy", np.array("x"), None, 3])
def test_a_field_needs_a_sequence_of_values(labelled: Index, column: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="sequence"):
        labelled.upsert(["c", "d"], [[1, 2]] * 2, {"label": column, "number": [1, 2]})


@pytest.mark.parametrize("columns", [["label", "number"], 5, {1: [1], "label": ["x"]}])
def test_fields_need_a_mapping_by_name(labelled: Index, columns: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        labelled.upsert(["c"], [[1, 2]], columns)


@pytest.mark.parametrize(
    "where",
    [
        "label == 'cat'",
        True,
        (field("number") == 1) & True,  # type: ignore[operator]
        field("label") < 3,
        field("number") >= "a",
        field("number").is_in([[1]]),  # type: ignore[list-item]
        field("number") == None,  # noqa: E711
        field("number") == np.array([1, 2]),
        field(3) == 1,  # type: ignore[arg-type]
    ],
    ids=repr,
)
def test_filters_that_mean_nothing(labelled: Index, where: Any) -> None:
    with pytest.raises(InvalidArgumentError):
        labelled.search([1, 0], where=where)


def test_filters_may_hold_scalars_of_numpy_and_nan(labelled: Index) -> None:
    (hits,) = labelled.search([1, 0], where=field("number") == np.int64(2))
    assert hits.ids == ("b",)
    assert labelled.search([1, 0], where=field("number") < NAN)[0].ids == ()


@pytest.mark.parametrize("option", [{"ranking": np.array(["a", "b"])}, {"k": np.array([1, 2])}])
def test_an_array_is_no_option(index: Index, option: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError):
        index.search([1, 0], **option)
