"""The torch backend: exact search on a CPU, a CUDA GPU or Apple's MPS.

>>> import vecbridge
>>> index = vecbridge.get_backend("torch", device="cpu").create_index("points", dimension=2)
>>> index.upsert(["right", "up"], [[1, 0], [0, 1]])
>>> index.search([1, 0.1], k=1)[0].ids
('right',)
"""

from __future__ import annotations

from vecbridge_torch._backend import TorchBackend, TorchIndex
from vecbridge_torch._device import Arithmetic, arithmetic_of
from vecbridge_torch._settings import TorchSettings

__all__ = ["Arithmetic", "TorchBackend", "TorchIndex", "TorchSettings", "arithmetic_of"]
