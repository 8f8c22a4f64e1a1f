"""Settings of the FAISS backend."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, model_validator

from vecbridge.settings import LocalPath, Settings

_RECALL = 0.95


class FaissSettings(Settings):
    """Where the records are kept, and how they are searched.

    Attributes:
        path: a directory; ``None`` or ``":memory:"`` keeps the records in memory only.
        index: ``"flat"`` searches every record, exactly; ``"hnsw"`` and ``"ivf"`` are approximate,
            and so is any other string that FAISS's ``index_factory`` takes (``"IVF256,PQ16"``).
        recall: share of the true nearest records that an approximate index finds, on average; its
            effort is tuned to that with the queries that it receives. 0.95 by default.
        ef: fixed effort of an HNSW index, instead of a recall: how many candidates it keeps.
        nprobe: fixed effort of an IVF index, instead of a recall: how many cells it searches.
    """

    path: LocalPath | None = None
    index: Annotated[str, Field(min_length=1)] = "flat"
    recall: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    ef: Annotated[int, Field(ge=1)] | None = None
    nprobe: Annotated[int, Field(ge=1)] | None = None

    @model_validator(mode="after")
    def _refuse_what_would_be_ignored(self) -> FaissSettings:
        for option, kind in (("ef", "hnsw"), ("nprobe", "ivf")):
            if getattr(self, option) is not None and kind not in self.index.lower():
                raise ValueError(f"{option} is for {kind} indexes; index is {self.index!r}")
        efforts = [name for name in ("recall", "ef", "nprobe") if getattr(self, name) is not None]
        if efforts and self.exact:
            raise ValueError(f"{efforts[0]} is for approximate indexes; flat finds everything")
        if len(efforts) > 1:
            raise ValueError(f"{efforts[0]} and {efforts[1]} exclude each other; give one")
        return self

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

    @property
    def exact(self) -> bool:
        """Whether every record is searched."""
        return self.index.lower() == "flat"

    @property
    def tuned_recall(self) -> float | None:
        """The recall that the effort is tuned to; none where it is exact, or the effort fixed."""
        if self.exact or self.ef is not None or self.nprobe is not None:
            return None
        return _RECALL if self.recall is None else self.recall
