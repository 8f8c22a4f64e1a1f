"""The device, its arithmetic, and its dot products."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from vecbridge import ConfigurationError
from vecbridge_torch._settings import Precision, TorchSettings

_TYPES: dict[Precision, torch.dtype] = {
    "float32": torch.float32,
    "tf32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}
_TF32_DROPPED_BITS = 13
# Less than what the C library asks the system for, and gives back, each time.
_CPU_SCORE_BYTES = 24 << 20
_DEVICE_SCORE_BYTES = 1 << 30


@dataclass(frozen=True)
class Arithmetic:
    """A device and a precision that products are computed with.

    Attributes:
        device: of torch.
        precision: of the products that find candidates.
        budget: bytes of vectors that an index may keep on the device.
        score_bytes: bytes of a block of scores; ``None`` for what suits the device.
    """

    device: torch.device
    precision: Precision
    budget: int
    score_bytes: int | None = None

    @property
    def shares_memory(self) -> bool:
        """Whether the device reads the records where they are."""
        return self.device.type == "cpu"

    @property
    def block_bytes(self) -> int:
        """Bytes of a block of scores. Each step on a device takes time of its own: few steps."""
        if self.score_bytes is not None:
            return self.score_bytes
        if self.shares_memory:
            return _CPU_SCORE_BYTES
        return max(_CPU_SCORE_BYTES, min(_DEVICE_SCORE_BYTES, self.budget // 16))

    @property
    def dtype(self) -> torch.dtype:
        """Of the vectors that are kept on the device."""
        return _TYPES[self.precision]

    @property
    def output_roundoff(self) -> float:
        """Unit roundoff of the type that products are given out in, where that is narrow."""
        if self.dtype == torch.float32 or self.device.type == "cuda":
            return 0.0
        return 2.0**-8 if self.dtype == torch.bfloat16 else 2.0**-11

    def block_rows(self, queries: int) -> int:
        """Return how many records a block of scores of so many queries has."""
        return max(1, self.block_bytes // (4 * max(queries, 1)))

    def rounded(self, values: Tensor) -> Tensor:
        """Return float64 values on the host, rounded to the precision.

        TF32 has no type of its own: what is rounded to it beforehand, the hardware takes as it is.
        """
        if self.precision != "tf32":
            return values.to(self.dtype)
        bits = values.to(torch.float32).view(torch.int32)
        half = 1 << (_TF32_DROPPED_BITS - 1)
        return ((bits + half) & -(1 << _TF32_DROPPED_BITS)).view(torch.float32)

    def put(self, array: NDArray[Any]) -> Tensor:
        """Return an array as a tensor on the device; on a CPU the same memory, to be read only."""
        return torch.from_numpy(np.asarray(_Lent(array))).to(self.device)

    def products(
        self, queries: NDArray[np.float32], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """Return ``(q, n)`` float32 dot products of float32 arrays, accumulated in float32.

        Nothing is kept on the device; on a CPU nothing is copied either.
        """
        with torch.inference_mode(), self.pinned("ieee"):
            asked = self.put(queries)
            if self.shares_memory:
                return torch.mm(asked, self.put(vectors).T).numpy()
            found = np.empty((len(queries), len(vectors)), dtype=np.float32)
            rows = self.block_rows(max(len(queries), vectors.shape[1]))
            for start in range(0, len(vectors), rows):
                part = slice(start, start + rows)
                found[:, part] = torch.mm(asked, self.put(vectors[part]).T).cpu().numpy()
            return found

    def narrow_products(self, queries: Tensor, vectors: Tensor) -> Tensor:
        """Return ``(q, n)`` float32 dot products of what was rounded to the precision."""
        with self.pinned("tf32" if self.precision == "tf32" else "ieee"):
            if queries.dtype == torch.float32:
                return torch.mm(queries, vectors.T)
            if self.device.type == "cuda":
                return torch.mm(queries, vectors.T, out_dtype=torch.float32)
            return torch.mm(queries, vectors.T).float()

    @contextmanager
    def pinned(self, float32: str) -> Iterator[None]:
        """Pin what torch makes of products: a program may have allowed it to round them, or sums.

        The settings are the whole process's, so they are touched only where they say otherwise.

        Args:
            float32: ``"ieee"`` or ``"tf32"``.
        """
        # torch has no annotations for these.
        backends: Any = torch.backends
        cuda = backends.cuda.matmul
        switch = cuda if self.device.type == "cuda" else backends.mkldnn.matmul
        before, narrow_sums = switch.fp32_precision, cuda.allow_fp16_accumulation
        rounds = before != float32 and not (before == "none" and float32 == "ieee")
        sums_narrow = narrow_sums and self.device.type == "cuda"
        try:
            if rounds:
                switch.fp32_precision = float32
            if sums_narrow:
                cuda.allow_fp16_accumulation = False
            yield
        finally:
            if rounds:
                switch.fp32_precision = before
            if sums_narrow:
                cuda.allow_fp16_accumulation = True


class _Lent:
    """A read-only array for torch, which knows no such tensors and warns of every one."""

    def __init__(self, array: NDArray[Any]) -> None:
        interface = array.__array_interface__
        self.__array_interface__ = {**interface, "data": (interface["data"][0], False)}
        self._array = array


def arithmetic_of(settings: TorchSettings) -> Arithmetic:
    """Return what the settings ask for, as far as this computer has it.

    Raises:
        ConfigurationError: it has not.
    """
    device = _device(settings.device)
    budget = _memory(device) if settings.memory_mb is None else settings.memory_mb << 20
    return Arithmetic(device, _precision(settings, device), budget)


def _device(name: str) -> torch.device:
    available = ["cpu"]
    if torch.backends.mps.is_available():
        available.insert(0, "mps")
    for number in reversed(range(torch.cuda.device_count())):
        available.insert(0, f"cuda:{number}")
    if name == "auto":
        return torch.device(available[0])
    if name == "cuda" and available[0].startswith("cuda"):
        return torch.device("cuda", torch.cuda.current_device())
    if name not in available:
        raise ConfigurationError(
            f"backend 'torch' was asked for device {name!r}; torch {torch.__version__} finds: "
            f"{', '.join(available)}. Set device to one of them, or to 'auto'"
        )
    return torch.device(name)


def _precision(settings: TorchSettings, device: torch.device) -> Precision:
    wanted = settings.precision
    if wanted == "auto":
        if device.type == "cuda":
            # As fast as bfloat16 and eight times as precise; the vectors are scaled into range.
            return "float16"
        return "bfloat16" if device.type == "cpu" and _cpu_has_bfloat16() else "float32"
    if wanted == "tf32" and device.type != "cuda":
        raise ConfigurationError(
            f"backend 'torch' was asked for precision 'tf32' on {device.type!r}; only CUDA devices "
            f"have it. Set precision to 'auto'"
        )
    if wanted != "float32" and device.type == "mps":
        raise ConfigurationError(
            f"backend 'torch' was asked for precision {wanted!r} on 'mps', whose rounding is not "
            f"documented, so that nothing could be proven. Set precision to 'float32' or 'auto'"
        )
    return wanted


def _cpu_has_bfloat16() -> bool:
    found = torch.cpu.get_capabilities()
    return bool(found.get("avx512_bf16") or found.get("amx_bf16"))


def _memory(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.get_device_properties(device).total_memory // 2
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 4


def _after_fork() -> None:
    # GNU OpenMP would wait for ever for the threads that it had in the parent. One needs no others.
    torch.set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
