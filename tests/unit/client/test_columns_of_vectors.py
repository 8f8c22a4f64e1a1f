"""Columns of pandas and Arrow, narrow types and lists of tensors are vectors, converted once."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import vecbridge
from tests.meta.source import ROOT
from vecbridge import DimensionError, Index, InvalidVectorError

pa: Any = pytest.importorskip("pyarrow")
pd: Any = pytest.importorskip("pandas")
torch: Any = pytest.importorskip("torch")

HARD = 2**60 + 2**36 + 1
"""Between two numbers of float32, beside the middle: float64 would put it onto the middle."""

ROWS = [[1.5, -2.25, 3.0], [0.0, 1e-40, 65504.0], [0.1, 7.0, -1e30]]
ARROW_FLOATS = ["float16", "float32", "float64"]
ARROW_INTEGERS = ["int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64"]
NARROW_TENSORS = [
    "bfloat16",
    "float8_e4m3fn",
    "float8_e4m3fnuz",
    "float8_e5m2",
    "float8_e5m2fnuz",
    "float8_e8m0fnu",
]


@pytest.fixture
def index() -> Iterator[Index]:
    with vecbridge.get_backend("sklearn") as store:
        yield store.create_index("columns", dimension=3, metric="euclidean")


def stored(index: Index, given: Any) -> np.ndarray:
    ids = [f"{at}" for at in range(len(given))]
    index.upsert(ids, given)
    return index.fetch(ids).vectors


def assert_bits(found: np.ndarray, expected: np.ndarray) -> None:
    assert found.dtype == np.float32
    assert found.tobytes() == np.ascontiguousarray(expected, dtype=np.float32).tobytes()


def lists(kind: Any, table: np.ndarray) -> Any:
    return pa.array(list(table), type=pa.list_(kind))


def large_lists(kind: Any, table: np.ndarray) -> Any:
    return pa.array(list(table), type=pa.large_list(kind))


def fixed_lists(kind: Any, table: np.ndarray) -> Any:
    return pa.array(list(table), type=pa.list_(kind, 3))


def chunks(kind: Any, table: np.ndarray) -> Any:
    return pa.chunked_array([lists(kind, table[:1]), lists(kind, table[1:])])


def fixed_chunks(kind: Any, table: np.ndarray) -> Any:
    return pa.chunked_array([fixed_lists(kind, table[:2]), fixed_lists(kind, table[2:])])


def slices(kind: Any, table: np.ndarray) -> Any:
    return fixed_lists(kind, np.concatenate([table[:1], table, table[:1]])).slice(1, 3)


def table_columns(kind: Any, table: np.ndarray) -> Any:
    return pa.table({"vector": fixed_lists(kind, table)})["vector"]


def arrow_series(kind: Any, table: np.ndarray) -> Any:
    return pd.Series(fixed_lists(kind, table), dtype=pd.ArrowDtype(pa.list_(kind, 3)))


ARROW = [lists, large_lists, fixed_lists, chunks, fixed_chunks, slices, table_columns, arrow_series]


@pytest.mark.parametrize("kind", ARROW_FLOATS + ARROW_INTEGERS)
@pytest.mark.parametrize("made", ARROW, ids=lambda each: each.__name__)
def test_a_column_of_arrow(index: Index, made: Callable[[Any, Any], Any], kind: str) -> None:
    if kind in ARROW_FLOATS:
        with np.errstate(all="ignore"):
            table = np.array(ROWS).astype(kind)
        table[~np.isfinite(table)] = 1.0
    else:
        table = np.array([[1, 2, 3], [4, 5, 6], [7, 8, 127]], dtype=kind)
        if table.itemsize == 8:
            table[0] = HARD
    given = made(getattr(pa, kind)(), table)
    with np.errstate(all="ignore"):
        assert_bits(stored(index, given), table.astype(np.float32))
    assert [hits.ids[0] for hits in index.search(given, k=1)] == ["0", "1", "2"]


@pytest.mark.parametrize("row", [list, tuple, np.array, torch.tensor])
@pytest.mark.parametrize("labels", [None, [7, 7, 3], list("abc")])
def test_a_column_of_pandas(index: Index, row: Callable[[Any], Any], labels: Any) -> None:
    series = pd.Series([row(each) for each in ROWS], index=labels)
    frame = pd.DataFrame({"vector": series})
    expected = np.array([np.asarray(row(each)) for each in ROWS])
    assert_bits(stored(index, series), expected)
    assert_bits(stored(index, frame["vector"]), expected)
    assert_bits(stored(index, frame["vector"].to_numpy()), expected)
    assert_bits(stored(index, frame["vector"].tolist()), expected)


def test_integers_among_floats_in_a_column_are_rounded_once(index: Index) -> None:
    for series in (
        pd.Series([[HARD, 0.5, 1], [1, 2, 3]]),
        pd.Series([np.array([HARD, 0, 1]), np.array([0.5, 2, 3])]),
    ):
        assert stored(index, series)[0, 0] == np.array([HARD], dtype=np.int64).astype(np.float32)[0]


def test_rows_of_different_types_in_a_column(index: Index) -> None:
    given = pd.Series([np.array([1, 2, 3], dtype=np.int8), np.array([0.5, 1, 2], np.float16)])
    assert_bits(stored(index, given), np.array([[1, 2, 3], [0.5, 1, 2]]))


def test_an_empty_column_holds_no_vectors(index: Index) -> None:
    for given in (np.empty((0, 3), dtype=np.float32), np.empty((0, 3), dtype=np.float64)):
        index.upsert([], given)
    assert index.search(pa.array([], type=pa.list_(pa.float32(), 3))) == []
    assert index.search(pd.Series([], dtype=object)) == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pa.array([ROWS[0], None], type=pa.list_(pa.float32())), "row 1 is a NoneType"),
        (pa.array([ROWS[0], None], type=pa.list_(pa.float32(), 3)), "row 1 is a NoneType"),
        (pd.Series([None, ROWS[0]]), "row 0 is a NoneType"),
        (pd.Series([ROWS[0], pd.NA]), "row 1 is a NAType"),
        (pd.Series([ROWS[0], float("nan")]), "row 1 is a float"),
        (pa.array([ROWS[0], [1.0, None, 2.0]]), "row 1 has NaN or infinity"),
        (pa.array([ROWS[0], [1, None, 2]], type=pa.list_(pa.int64())), "row 1 has NaN"),
        (pd.Series([ROWS[0], [1.0, None, 2.0]]), "such as None .* in row 1"),
        (pd.Series([ROWS[0], [1.0, 2**70, 2.0]]), "beyond 64 bits, in row 1"),
        (pd.Series([ROWS[0], ["1", "2", "3"]]), "must be real numbers"),
        (pd.Series([ROWS[0], [1.0, 1e39, 2.0]]), "row 1 has a value too large for float32"),
        (pa.array([["1", "2", "3"]]), "in row 0"),
        (pd.Series(["1,2,3"]), "must be real numbers"),
    ],
    ids=str,
)
def test_a_row_that_is_no_vector_is_named(index: Index, given: Any, said: str) -> None:
    with pytest.raises(InvalidVectorError, match=said):
        index.upsert(["a", "b"][: len(given)], given)
    assert index.count() == 0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (pa.array([ROWS[0], [1.0, 2.0]]), "row 1 has 2 numbers, the first one 3"),
        (pd.Series([ROWS[0], [1.0]]), "row 1 has 1 numbers, the first one 3"),
        ([torch.zeros(3), torch.zeros(4)], "row 1 has 4 numbers, the first one 3"),
        (pa.array([[1.0, 2.0]] * 2), "must have 3 dimensions.*; got 2"),
        (pd.Series([[[1.0], [2.0], [3.0]]]), r"shape \(n, 3\); got shape \(1, 3, 1\)"),
        (pd.Series([1.0, 2.0]), r"shape \(n, 3\); got shape \(2,\)"),
        (pd.Series([[[1.0, 2.0], [1.0]]]), "must all have the same length"),
    ],
    ids=str,
)
def test_a_row_of_another_length_is_named(index: Index, given: Any, said: str) -> None:
    with pytest.raises(DimensionError, match=said):
        index.upsert(["a", "b"][: len(given)], given)


@pytest.mark.parametrize("kind", [*NARROW_TENSORS, "float16", "float32", "float64", "int64"])
@pytest.mark.parametrize("container", ["tensor", "list", "tuple", "series"])
def test_tensors(index: Index, container: str, kind: str) -> None:
    held = torch.tensor([[1.0, 2.0, 0.5], [4.0, 8.0, 0.25]]).to(getattr(torch, kind))
    made: dict[str, Callable[[Any], Any]] = {
        "tensor": lambda tensor: tensor,
        "list": list,
        "tuple": tuple,
        "series": lambda tensor: pd.Series(list(tensor)),
    }
    assert_bits(stored(index, made[container](held)), held.double().numpy())


@pytest.mark.parametrize("kind", ["bfloat16", "float16", "float32", "float64"])
def test_tensors_with_a_gradient(index: Index, kind: str) -> None:
    held = torch.tensor([[1.0, 2.0, 0.5]], dtype=getattr(torch, kind), requires_grad=True)
    assert_bits(stored(index, list(held)), held.detach().double().numpy())
    assert_bits(stored(index, held * 2), 2 * held.detach().double().numpy())


@pytest.mark.parametrize("kind", NARROW_TENSORS)
def test_every_value_of_a_narrow_tensor(kind: str) -> None:
    size = 2 if kind == "bfloat16" else 1
    bits = np.arange(2 ** (8 * size)).astype(f"u{size}").view(f"i{size}")
    narrow = torch.from_numpy(bits).view(getattr(torch, kind))
    every = narrow[torch.isfinite(narrow.float())]
    with vecbridge.get_backend("sklearn") as store:
        for number, part in enumerate(every.split(30_000)):
            index = store.create_index(f"part{number}", dimension=len(part), metric="euclidean")
            assert_bits(stored(index, [part])[0], part.double().numpy())
            assert_bits(stored(index, part[None])[0], part.double().numpy())


def narrow_types() -> list[Any]:
    try:
        import ml_dtypes
    except ImportError:
        return []
    kinds = [getattr(ml_dtypes, name) for name in dir(ml_dtypes)]
    return [
        kind
        for kind in kinds
        if isinstance(kind, type) and issubclass(kind, np.generic) and "complex" not in str(kind)
    ]


@pytest.mark.parametrize("kind", narrow_types(), ids=lambda kind: kind.__name__)
def test_every_value_of_ml_dtypes(kind: Any) -> None:
    dtype = np.dtype(kind)
    bits = np.arange(2 ** (8 * dtype.itemsize), dtype=np.uint32).astype(f"u{dtype.itemsize}")
    every = bits.view(dtype)
    with np.errstate(all="ignore"):
        wide = every.astype(np.float64)
    good = np.isfinite(wide)
    with vecbridge.get_backend("sklearn") as store:
        for number, start in enumerate(range(0, int(good.sum()), 30_000)):
            part = every[good][start : start + 30_000]
            expected = wide[good][start : start + 30_000]
            index = store.create_index(f"part{number}", dimension=len(part), metric="euclidean")
            for given in ([part], part[np.newaxis], pd.Series([part])):
                assert_bits(stored(index, given)[0], expected)
    if not good.all():
        with vecbridge.get_backend("sklearn") as store:
            index = store.create_index("odd", dimension=1, metric="euclidean")
            with pytest.raises(InvalidVectorError, match="row 0 has NaN or infinity"):
                index.upsert(["a"], every[~good][:1, np.newaxis])


@pytest.mark.parametrize("name", ["complex32", "bcomplex32"])
def test_complex_numbers_of_ml_dtypes_are_refused(index: Index, name: str) -> None:
    ml_dtypes: Any = pytest.importorskip("ml_dtypes")
    if not hasattr(ml_dtypes, name):
        pytest.skip("this release has none")
    with pytest.raises(InvalidVectorError):
        index.search(np.zeros((1, 3), dtype=getattr(ml_dtypes, name)))


def test_nothing_is_imported_to_convert() -> None:
    code = (
        "import sys; from tests.engine import make_engine; from vecbridge import Index; "
        "Index(make_engine(2)).upsert(['a', 'b'], [[1, 2], [3.5, 4]]); "
        "print([name for name in ('pandas', 'pyarrow', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True, text=True
    )
    assert done.stdout == "[]\n"
