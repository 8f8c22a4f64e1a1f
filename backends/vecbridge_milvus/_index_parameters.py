"""What Milvus's vector indexes are built and searched with, and what of it a user got wrong.

Servers refuse values that they cannot use, and ignore names that they do not know. So values are
left to them, but for the few that would fail in each search; names are looked at here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal

Family = Literal["flat", "graph", "disk", "cells", "auto", "gpu", "other"]

NLIST = 1024
FAMILIES: dict[str, Family] = {
    "FLAT": "flat",
    "BRUTE_FORCE": "flat",
    **dict.fromkeys(("HNSW", "HNSW_SQ", "HNSW_PQ", "HNSW_PRQ"), "graph"),
    **dict.fromkeys(("DISKANN", "AISAQ"), "disk"),
    **dict.fromkeys(("IVF_FLAT", "IVF_SQ8", "IVF_PQ", "IVF_RABITQ", "SCANN"), "cells"),
    **dict.fromkeys(("GPU_IVF_FLAT", "GPU_IVF_PQ"), "cells"),
    "GPU_CAGRA": "gpu",
    "AUTOINDEX": "auto",
}
"""Indexes that are searched alike. GPU_BRUTE_FORCE is none of the flat ones: how a GPU rounds has
not been seen, so nothing is called exact."""

_ALIKE = 0.85
_REFINED = frozenset({"refine", "refine_type"})
_GRAPH = frozenset({"M", "efConstruction"})
_ON_DEVICE = frozenset({"cache_dataset_on_device"})
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
    "GPU_CAGRA": _ON_DEVICE
    | {"intermediate_graph_degree", "graph_degree", "build_algo", "adapt_for_cpu"},
    "GPU_IVF_FLAT": _ON_DEVICE | {"nlist"},
    "GPU_IVF_PQ": _ON_DEVICE | {"nlist", "m", "nbits"},
    "GPU_BRUTE_FORCE": frozenset(),
}
"""What indexes are built with, as Milvus's documentation has it."""

_BY_PARAMETER: dict[str, set[Family]] = {
    "ef": {"graph", "auto", "gpu"},
    "nprobe": {"cells"},
    "search_list": {"disk"},
    "reorder_k": {"cells"},
    "refine_k": {"graph", "cells"},
    "rbq_query_bits": {"cells"},
    "itopk_size": {"gpu"},
    "search_width": {"gpu"},
    "min_iterations": {"gpu"},
    "max_iterations": {"gpu"},
    "team_size": {"gpu"},
    "level": {"auto"},
}
"""The indexes that know each search parameter."""

_FROM_ZERO = frozenset({"rbq_query_bits", "min_iterations", "max_iterations", "team_size"})
"""Search parameters of which 0 stands for what the index does by itself."""

_SINCE: dict[str, str] = {
    **dict.fromkeys(("GPU_CAGRA", "GPU_BRUTE_FORCE"), "2.4"),
    **dict.fromkeys(("HNSW_SQ", "HNSW_PQ", "HNSW_PRQ"), "2.5"),
    "IVF_RABITQ": "2.6",
    "AISAQ": "3.0",
}
"""The first line of Milvus whose documentation has a type; the others are in 2.3 already."""


def build_parameters(name: str, dimension: int, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return what an index is built with: defaults for servers of every age, then the user's."""
    built: dict[str, Any] = {}
    family = FAMILIES.get(name, "other")
    if family == "graph":
        built = {"M": 16, "efConstruction": 200}
    elif family == "cells":
        built = {"nlist": NLIST}
    if name in {"IVF_PQ", "GPU_IVF_PQ", "HNSW_PQ", "HNSW_PRQ"}:
        built |= {"m": _subspaces(dimension), "nbits": 8}
    if name == "HNSW_SQ":
        built |= {"sq_type": "SQ8"}
    if name == "HNSW_PRQ":
        built |= {"nrq": 1}
    return built | dict(given)


def misbuilt(name: str, given: Iterable[str]) -> Iterator[str]:
    """Yield what is wrong with names of build parameters.

    A name that resembles none may be one that a later server knows.
    """
    known = _BUILT_WITH.get(name)
    for word in given:
        if word in _BY_PARAMETER:
            yield f"{word!r} belongs in search_params, not in index_params"
        elif known is not None and word not in known:
            of_others = any(word in each for each in _BUILT_WITH.values())
            meant = _resembled(word, known)
            if meant or of_others:
                listed = ", ".join(sorted(known)) or "nothing"
                hint = f"did you mean {meant!r}?" if meant else f"it has {listed}"
                yield f"index_type {name} is not built with {word!r}; {hint}"


def missearched(given: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is wrong with search parameters, whatever the index is."""
    for name, value in given.items():
        if name not in _BY_PARAMETER:
            if meant := _resembled(name, _BY_PARAMETER):
                yield f"search_params has no {name!r}; did you mean {meant!r}?"
        elif name == "refine_k":
            if type(value) not in (int, float) or not value >= 1:
                yield f"search_params['refine_k'] must be a number of at least 1; got {value!r}"
        elif type(value) is not int or value < (name not in _FROM_ZERO):
            least = "0" if name in _FROM_ZERO else "1"
            whole = f"a whole number of at least {least}"
            yield f"search_params[{name!r}] must be {whole}; got {value!r}"


def ignored(family: Family, given: Iterable[str]) -> Iterator[str]:
    """Yield the search parameters that indexes of a family do not know."""
    return (name for name in given if family not in _BY_PARAMETER.get(name, {family}))


def known_since(name: str) -> str:
    """Return which servers know an index, where 2.3 does not; else nothing."""
    return f"{name} is known to Milvus {_SINCE[name]} and newer" if name in _SINCE else ""


def _resembled(word: str, known: Iterable[str]) -> str:
    """Return the known name that another one looks like, capitals aside; else nothing."""
    from difflib import get_close_matches

    plain = {name.lower().replace("_", ""): name for name in known}
    close = get_close_matches(word.lower().replace("_", ""), plain, n=1, cutoff=_ALIKE)
    return plain[close[0]] if close else ""


def _subspaces(dimension: int) -> int:
    """Return the most parts of at least four dimensions that divide a vector evenly."""
    parts = range(max(1, dimension // 4), 0, -1)
    return next(count for count in parts if dimension % count == 0)
