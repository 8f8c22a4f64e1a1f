"""The device, its precision, and what the bounds rest on."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.adversarial import Data, make
from tests.oracle import oracle, oracle_distances
from tests.unit.torch_backend.helpers import PRECISIONS, index_of
from vecbridge import METRICS, ConfigurationError, Index, Metric, Store, get_backend
from vecbridge_torch import Arithmetic, TorchBackend, TorchSettings, arithmetic_of


def on_cpu(precision: Any) -> Arithmetic:
    return Arithmetic(torch.device("cpu"), precision, 1 << 30)


@pytest.fixture
def rounding_allowed() -> Iterator[None]:
    torch.set_float32_matmul_precision("medium")
    yield
    torch.set_float32_matmul_precision("highest")


@pytest.fixture
def float16_sums_allowed() -> Iterator[None]:
    switch: Any = torch.backends.cuda.matmul
    switch.allow_fp16_accumulation = True
    yield
    switch.allow_fp16_accumulation = False


@pytest.mark.parametrize("device", ["gpu", "cuda:x", "CPU", "cuda:", ""])
def test_a_device_that_torch_has_no_word_for_is_refused(device: str) -> None:
    with pytest.raises(ValidationError):
        TorchSettings(device=device)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is one")
@pytest.mark.parametrize("device", ["cuda", "cuda:3"])
def test_a_device_that_is_not_there_is_refused_with_those_that_are(device: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{device}'.*finds: .*cpu.*'auto'"):
        get_backend("torch", device=device)


def test_a_precision_that_the_device_does_not_have_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'tf32' on 'cpu'"):
        TorchBackend(TorchSettings(device="cpu", precision="tf32"))


def test_auto_takes_what_is_there() -> None:
    found = arithmetic_of(TorchSettings())
    assert found.device.type in ("cpu", "cuda", "mps")
    assert found.precision in PRECISIONS
    assert found.budget > 1 << 28


def test_memory_is_given_in_megabytes() -> None:
    assert arithmetic_of(TorchSettings(device="cpu", memory_mb=3)).budget == 3 * 2**20
    with pytest.raises(ValidationError):
        TorchSettings(memory_mb=-1)


def test_values_in_tf32_have_eleven_significant_bits_and_are_the_nearest() -> None:
    values = torch.from_numpy(np.random.default_rng(0).standard_normal(5000) * 1e3)
    rounded = on_cpu("tf32").rounded(values)
    assert rounded.dtype == torch.float32
    mantissas, _ = np.frexp(rounded.numpy())
    assert np.array_equal(mantissas * 2**11, np.round(mantissas * 2**11))
    assert float(((rounded.double() - values) / values).abs().max()) <= 2.0**-11


def index_by(arithmetic: Arithmetic, data: Data, metric: Metric) -> Index:
    """The data in an index of their own, put into the precision at once."""
    backend = TorchBackend(TorchSettings(device="cpu"), arithmetic=arithmetic, patience=0)
    dimension = data.vectors.shape[1]
    index = Store(backend).create_index("t", dimension=dimension, metric=metric)
    index.upsert(data.ids, data.vectors)
    return index


@pytest.mark.parametrize("precision", ["bfloat16", "float16", "tf32"])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", ["gaussian", "offset_1000", "mixed_norms", "integers"])
def test_narrow_products_decide_and_what_they_leave_out_is_beyond_their_bounds(
    kind: str, metric: Metric, precision: str
) -> None:
    data = make(kind, 64, count=300)
    index: Any = index_by(on_cpu(precision), data, metric)
    for k in (1, 10, 40):
        for query, candidates in zip(data.queries, index.candidates(data.queries, k), strict=True):
            exact = oracle_distances(metric, query, data.vectors)
            listed = {data.ids.index(name) for name in candidates.ids}
            rest = [at for at in range(300) if at not in listed]
            nearest = min(exact[rest], default=np.inf)
            assert candidates.lower_bound <= nearest
            if kind == "gaussian":
                # Bounds that were never tight would let in far more.
                assert len(listed) <= k + 40
                assert candidates.lower_bound > np.sort(exact)[k - 1]
    assert index.engine.held.rows == 300


@pytest.mark.usefixtures("rounding_allowed")
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_program_that_lets_torch_round_float32_still_gets_true_rankings(precision: str) -> None:
    data = make("one_ulp_apart", 64, count=400)
    index = index_of(data, "cosine", precision=precision)
    for query, hits in zip(data.queries, index.search(data.queries, 10), strict=True):
        assert hits.ids == oracle("cosine", data.ids, data.vectors, query, 10)[0]
    products: Any = torch.backends.mkldnn
    assert products.matmul.fp32_precision == "bf16"


@pytest.mark.usefixtures("float16_sums_allowed")
def test_sums_in_float16_that_a_program_has_allowed_are_not_ours() -> None:
    switch: Any = torch.backends.cuda.matmul
    with Arithmetic(torch.device("cuda"), "float16", 1).pinned("ieee"):
        assert not switch.allow_fp16_accumulation
    assert switch.allow_fp16_accumulation


@pytest.mark.parametrize("gigabytes", [1, 8, 80])
def test_blocks_of_scores_are_larger_on_a_device_and_never_much_of_it(gigabytes: int) -> None:
    budget = gigabytes << 30
    device = Arithmetic(torch.device("cuda"), "float16", budget)
    assert on_cpu("float32").block_bytes <= device.block_bytes <= budget // 16
    assert device.block_bytes <= 1 << 30


@pytest.mark.parametrize("width", [1, 7, 2048, 2049, 9000])
def test_the_best_of_blocks_are_the_best_of_all(width: int) -> None:
    data = make("integers", 16, count=2300 if width > 7 else 150, queries=5)
    arithmetic = replace(on_cpu("bfloat16"), score_bytes=4 * 5 * width)
    index: Any = index_by(arithmetic, data, "dotproduct")
    allowed = data.ids[::-1][: len(data.ids) * 3 // 4]
    for within, ids in ((None, data.ids), (allowed, allowed)):
        vectors = data.vectors if within is None else data.vectors[::-1][: len(allowed)]
        for query, hits in zip(
            data.queries, index.search(data.queries, 33, within=within), strict=True
        ):
            assert hits.ids == oracle("dotproduct", ids, vectors, query, 33)[0]
    assert index.engine.held.rows == len(data.ids)
