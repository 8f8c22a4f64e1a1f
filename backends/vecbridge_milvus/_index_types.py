"""The vector indexes that Milvus has, and what each wants to be told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from vecbridge import InvalidArgumentError

Family = Literal["flat", "graph", "disk", "cells", "auto", "other"]

_NLIST = 1024
_REORDERED = 512
_GREATEST_EFFORT = 32768
"""Servers take no ``ef`` and no ``search_list`` above."""

_FAMILIES: dict[str, Family] = {
    "FLAT": "flat",
    "BRUTE_FORCE": "flat",
    **dict.fromkeys(("HNSW", "HNSW_SQ", "HNSW_PQ", "HNSW_PRQ"), "graph"),
    **dict.fromkeys(("DISKANN", "AISAQ"), "disk"),
    **dict.fromkeys(("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "IVF_RABITQ", "SCANN"), "cells"),
    **dict.fromkeys(("GPU_IVF_FLAT", "GPU_IVF_PQ"), "cells"),
    "AUTOINDEX": "auto",
}
# AUTOINDEX is a graph on servers of one's own, where ef is seen to matter; a cloud's has a level
# instead, for the user to give. GPU_CAGRA has several that go together: its recall is tuned by
# asking for more hits.
_KNOBS: dict[Family, str] = {
    "graph": "ef",
    "auto": "ef",
    "disk": "search_list",
    "cells": "nprobe",
}
# Those that keep every vector as it is; the others also mistake one record for another.
_LOSSLESS = frozenset({"FLAT", "BRUTE_FORCE", "HNSW", "IVF_FLAT", "GPU_IVF_FLAT", "AUTOINDEX"})
_LITE = frozenset({"FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX"})


_ALIKE = 0.85
_REFINED = frozenset({"refine", "refine_type"})
_GRAPH = frozenset({"M", "efConstruction"})
_BUILT_WITH: dict[str, frozenset[str]] = {
    "HNSW": _GRAPH,
    "HNSW_SQ": _GRAPH | _REFINED | {"sq_type"},
    "HNSW_PQ": _GRAPH | _REFINED | {"m", "nbits"},
    "HNSW_PRQ": _GRAPH | _REFINED | {"m", "nbits", "nrq"},
    "IVF_FLAT": frozenset({"nlist"}),
    "IVF_SQ8": frozenset({"nlist"}),
    "IVF_PQ": frozenset({"nlist", "m", "nbits"}),
    "IVF_RABITQ": _REFINED | {"nlist"},
    "SCANN": frozenset({"nlist", "with_raw_data"}),
}
"""What indexes are built with, as Milvus's documentation has it."""


@dataclass(frozen=True)
class IndexType:
    """A vector index of a collection.

    Attributes:
        name: Milvus's name.
        build: what it was built with, as far as the server says.
    """

    name: str
    build: Mapping[str, str]

    @property
    def family(self) -> Family:
        """Which indexes it is searched like."""
        return _FAMILIES.get(self.name, "other")

    @property
    def exhaustive(self) -> bool:
        """Whether a search looks at every record."""
        return self.family == "flat"

    def doubted(self) -> IndexType:
        """The same, called FLAT, where that is not seen to be so: what servers build instead."""
        return IndexType("AUTOINDEX", self.build)

    @property
    def lossy(self) -> bool:
        """Whether it ranks by something coarser than the vectors."""
        return self.name not in _LOSSLESS

    @property
    def knob(self) -> str | None:
        """The search parameter that trades time for recall, where one is known."""
        return _KNOBS.get(self.family)

    def least(self, limit: int) -> int:
        """The least effort that can give ``limit`` hits."""
        return 1 if self.family == "cells" else limit

    def most(self) -> int:
        """The effort above which nothing more is found, or nothing more is allowed."""
        if self.family == "cells":
            return int(self.build.get("nlist", _NLIST))
        return _GREATEST_EFFORT

    def usual(self, limit: int) -> int:
        """An effort for a caller who names neither an effort nor a recall."""
        if self.family == "cells":
            return max(16, self.most() // 8, limit // 4)
        return max(4 * limit, 256)

    def parameters(
        self, limit: int, effort: int, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """What a search for ``limit`` hits sends: never less effort than that many hits need.

        Args:
            limit: how many hits.
            effort: value of the knob.
            given: search parameters of the user's.
        """
        sent = dict(given or {})
        if self.knob is not None:
            sent[self.knob] = max(self.least(limit), min(effort, self.most()))
        if self.name == "SCANN":
            # It ranks by codes, and looks at the vectors of so many records.
            sent["reorder_k"] = max(int(sent.get("reorder_k", _REORDERED)), 2 * limit)
        return sent


def build_parameters(name: str, dimension: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """What an index is built with: defaults that servers of every age want told, then the user's.

    Args:
        name: Milvus's name of the index.
        dimension: length of the vectors as they are stored.
        given: the user's.
    """
    built: dict[str, Any] = {}
    family = _FAMILIES.get(name, "other")
    if family == "graph":
        built = {"M": 16, "efConstruction": 200}
    elif family == "cells":
        built = {"nlist": _NLIST}
    if name in {"IVF_PQ", "GPU_IVF_PQ", "HNSW_PQ", "HNSW_PRQ"}:
        built |= {"m": _subspaces(dimension), "nbits": 8}
    if name == "HNSW_SQ":
        built |= {"sq_type": "SQ8"}
    if name == "HNSW_PRQ":
        built |= {"nrq": 1}
    return built | dict(given)


def misbuilt(name: str, given: Iterable[str]) -> list[str]:
    """What is wrong with the names of build parameters: servers pass over those they do not know.

    A name that resembles none may be one that a later server knows.

    Args:
        name: Milvus's name of the index.
        given: names of the user's parameters.
    """
    known = _BUILT_WITH.get(name)
    if known is None:
        return []
    of_others = frozenset[str]().union(*_BUILT_WITH.values()) - known
    problems = []
    for word in given:
        meant = resembled(word, known)
        if word not in known and (meant or word in of_others):
            hint = f"did you mean {meant!r}?" if meant else f"it has {', '.join(sorted(known))}"
            problems.append(f"index_type {name} is not built with {word!r}; {hint}")
    return problems


def resembled(word: str, known: Iterable[str]) -> str:
    """The known name that another one looks like, capitals aside; else nothing."""
    from difflib import get_close_matches

    plain = {name.lower().replace("_", ""): name for name in known}
    close = get_close_matches(word.lower().replace("_", ""), plain, n=1, cutoff=_ALIKE)
    return plain[close[0]] if close else ""


def needs(name: str) -> str:
    """What index nodes must have to build an index, where not all have it; else nothing.

    Servers take some such names all the same, go on trying to build, and say so in their log alone.
    """
    if name.startswith("GPU_"):
        return f"{name} is built by index nodes that have a GPU, and a Milvus built for one"
    if _FAMILIES.get(name) == "disk":
        return (
            f"{name} is built by servers for Linux that have indexNode.enableDisk and "
            f"queryNode.enableDisk set to true in milvus.yaml; those packaged for pip cannot"
        )
    return ""


def check_for_lite(name: str) -> None:
    """Refuses an index that Milvus Lite would take by name and make something else of.

    Raises:
        InvalidArgumentError: Lite does not have it.
    """
    if name not in _LITE:
        raise InvalidArgumentError(
            f"Milvus Lite has no index {name}: it takes the name and searches by another one. "
            f"Use one of {', '.join(sorted(_LITE))}, or a Milvus server"
        )


def _subspaces(dimension: int) -> int:
    """The most parts of at least four dimensions that divide a vector evenly."""
    parts = range(max(1, dimension // 4), 0, -1)
    return next(count for count in parts if dimension % count == 0)
