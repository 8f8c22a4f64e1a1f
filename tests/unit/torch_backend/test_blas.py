"""Which library multiplies."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from vecbridge_torch._blas import Race, cpu_products

_TRIES = 6


def taking(seconds: float, name: str, calls: list[str]) -> Callable[[Tensor, Tensor], Tensor]:
    def products(queries: Tensor, vectors: Tensor) -> Tensor:
        calls.append(name)
        time.sleep(seconds)
        return queries @ vectors.T

    return products


def test_a_race_tries_every_way_and_then_takes_the_fastest() -> None:
    calls: list[str] = []
    race = Race(taking(0.02, "slow", calls), taking(0.0, "fast", calls))
    queries, vectors = torch.ones((2, 3)), torch.ones((4, 3))
    for _ in range(_TRIES + 5):
        assert torch.equal(race.run(queries, vectors), torch.full((2, 4), 3.0))
    assert sorted(calls[:_TRIES]) == ["fast"] * 3 + ["slow"] * 3
    assert set(calls[_TRIES:]) == {"fast"}


def test_products_are_right_whichever_library_makes_them() -> None:
    generator = torch.Generator().manual_seed(0)
    for count in (1, 5):
        queries = torch.randint(-9, 9, (count, 7), generator=generator).float()
        vectors = torch.randint(-9, 9, (50, 7), generator=generator).float()
        wanted = (queries.double() @ vectors.double().T).float()
        for _ in range(_TRIES + 1):
            assert torch.equal(cpu_products(queries, vectors), wanted)
