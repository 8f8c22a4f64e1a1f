"""Settings of the torch backend."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from vecbridge.settings import LocalPath, Settings

Precision = Literal["float32", "tf32", "bfloat16", "float16"]


class TorchSettings(Settings):
    """Where the records are kept, and what searches them.

    Rankings are exact at every precision: it decides only how fast candidates are found, and how
    many of them must be checked again.

    Attributes:
        path: a directory; ``None`` or ``":memory:"`` keeps the records in memory only.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, ``"mps"``, or ``"auto"`` for the first of CUDA,
            MPS and the CPU that is available.
        precision: precision of the products that find candidates. ``"auto"`` is the fastest with a
            proven bound: ``float16`` on CUDA, ``bfloat16`` on a CPU with instructions for it, else
            ``float32``.
        memory_mb: maximum megabytes of an index's vectors to keep on the device in that precision;
            a larger index is streamed through it in ``float32``. ``None``: half of the device's
            memory, or a quarter of the computer's if the two are shared.
    """

    path: LocalPath | None = None
    device: Annotated[str, Field(pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$")] = "auto"
    precision: Literal["auto", "float32", "tf32", "bfloat16", "float16"] = "auto"
    memory_mb: Annotated[int, Field(ge=0)] | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the records are in this process alone."""
        return self.path in {None, ":memory:"}

    @property
    def place_of_files(self) -> str | None:
        """Name of the setting that says where the files are; ``None`` where there are none."""
        return None if self.in_memory else "path"

    @property
    def single_writer(self) -> bool:
        """Whether one process at a time writes: always, to one SQLite file."""
        return True
