"""The vector indexes that Milvus has, their parameters, and the settings that give them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from vecbridge.settings import Settings
from vecbridge_milvus._index_parameters import (
    FAMILIES,
    NLIST,
    Family,
    ignored,
    misbuilt,
    missearched,
)

_REORDERED = 512
_GREATEST_EFFORT = 32768
"""Servers take no ``ef`` and no ``search_list`` above."""

# AUTOINDEX is a graph on servers of one's own, where ef is seen to matter; a cloud's has a level
# instead, for the user to give. GPU_CAGRA has several that go together: its recall is tuned by
# asking for more hits, and its parameters are for the user to give.
_SEARCH_PARAMS: dict[Family, str] = {
    "graph": "ef",
    "auto": "ef",
    "disk": "search_list",
    "cells": "nprobe",
}
# Those that keep every vector as it is; the others also mistake one record for another.
_LOSSLESS = frozenset({"FLAT", "BRUTE_FORCE", "HNSW", "IVF_FLAT", "GPU_IVF_FLAT", "AUTOINDEX"})
LITE_TYPES = frozenset({"FLAT", "HNSW", "HNSW_SQ", "IVF_FLAT", "IVF_SQ8", "AUTOINDEX"})
_FIELD = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""Names that Milvus gives to fields."""


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
        """The indexes that it is searched like."""
        if self.name == "GPU_CAGRA" and self.build.get("adapt_for_cpu", "").lower() == "true":
            # Built on a GPU, and searched on a CPU like HNSW: without an ef it is refused.
            return "graph"
        return FAMILIES.get(self.name, "other")

    @property
    def exhaustive(self) -> bool:
        """Return whether a search looks at every record."""
        return self.family == "flat"

    def doubted(self) -> IndexType:
        """Return the index that servers build instead, where FLAT is not seen to be FLAT."""
        return IndexType("AUTOINDEX", self.build)

    @property
    def lossy(self) -> bool:
        """Return whether it ranks by something coarser than the vectors."""
        return self.name not in _LOSSLESS

    @property
    def search_param(self) -> str | None:
        """The search parameter that trades time for recall, where one is known."""
        return _SEARCH_PARAMS.get(self.family)

    def least(self, limit: int) -> int:
        """Return the least effort that can give ``limit`` hits."""
        return 1 if self.family == "cells" else limit

    def most(self) -> int:
        """Return the effort above which nothing more is found, or nothing more is allowed."""
        if self.family == "cells":
            return int(self.build.get("nlist", NLIST))
        return _GREATEST_EFFORT

    def usual(self, limit: int) -> int:
        """Return an effort for a caller who names neither an effort nor a recall."""
        if self.family == "cells":
            return max(16, self.most() // 8, limit // 4)
        return max(4 * limit, 256)

    def parameters(
        self, limit: int, effort: int, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Return what a search for ``limit`` hits sends: never less effort than that many need."""
        sent = dict(given or {})
        if self.search_param is not None:
            sent[self.search_param] = max(self.least(limit), min(effort, self.most()))
        if self.name == "SCANN":
            # It ranks by codes, and looks at the vectors of so many records.
            sent["reorder_k"] = max(int(sent.get("reorder_k", _REORDERED)), 2 * limit)
        if "itopk_size" in sent:
            # With less room for candidates than hits, a search is refused.
            sent["itopk_size"] = max(int(sent["itopk_size"]), limit)
        return sent


def needs(name: str) -> str:
    """Return what index nodes must have to build an index, where not all have it; else nothing.

    Servers take some such names all the same, go on trying to build, and say so in their log alone.
    """
    if name.startswith("GPU_"):
        return f"{name} is built by index nodes that have a GPU, and a Milvus built for one"
    if FAMILIES.get(name) == "disk":
        return (
            f"{name} is built by servers for Linux that have indexNode.enableDisk and "
            f"queryNode.enableDisk set to true in milvus.yaml; those packaged for pip cannot"
        )
    return ""


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _parsed(value: Any) -> Any:
    """Read a mapping, which an environment variable holds as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        # Not from the error, which holds the whole text.
        raise ValueError('must be a JSON object, as in {"M": 16}') from None


def _listed(value: Any) -> Any:
    """Read names, which an environment variable holds between commas."""
    if not isinstance(value, str):
        return value
    return [part for name in value.split(",") if (part := name.strip())]


Parameters = Annotated[dict[str, int | float | bool | str], BeforeValidator(_parsed)]


class IndexSettings(Settings):
    """Settings of new indexes, of searches, and of collections created by other programs.

    Attributes:
        index_type: Milvus's name of the index that a new collection gets: ``FLAT``, ``HNSW``,
            ``IVF_FLAT``, ``IVF_SQ8``, ``IVF_PQ``, ``SCANN``, ``DISKANN``, ``AUTOINDEX``,
            ``HNSW_SQ``, ``IVF_RABITQ``, or any other that the server has. The default, ``FLAT``,
            reads every record and so ranks exactly.
        index_params: build parameters of the index, as in ``{"M": 16, "efConstruction": 200}``.
        search_params: fixed search effort of an approximate index, as in ``{"ef": 500}`` or
            ``{"nprobe": 64}``, instead of a recall; it is raised to what ``k`` needs.
        recall: share of the true nearest records that an approximate index finds, on average. Its
            effort is tuned to that by one pass over the records in the first search.
        shards: write channels of a new collection.
        replicas: copies of an index in memory, each on query nodes of its own.
        resource_groups: names of the groups of query nodes that hold the copies.
        mmap: map a new collection's files into memory instead of reading them in.
        partition_key: a scalar field by whose values a new collection's records are grouped, so
            that a filter on it reads few of them.
        key_field: the primary key of collections created by other programs.
        vector_field: their vector field; needed if there are several.
    """

    index_type: Annotated[str, BeforeValidator(_upper), Field(pattern=r"^[A-Z][A-Z0-9_]*$")] = (
        "FLAT"
    )
    index_params: Parameters = Field(default_factory=dict)
    search_params: Parameters = Field(default_factory=dict)
    recall: Annotated[float, Field(gt=0.0, le=1.0)] | None = None
    shards: Annotated[int, Field(ge=1)] | None = None
    replicas: Annotated[int, Field(ge=1)] | None = None
    resource_groups: Annotated[list[str], BeforeValidator(_listed)] = Field(default_factory=list)
    mmap: bool | None = None
    partition_key: Annotated[str, Field(pattern=_FIELD)] | None = None
    key_field: Annotated[str, Field(pattern=_FIELD)] | None = None
    vector_field: Annotated[str, Field(pattern=_FIELD)] | None = None

    @property
    def loading(self) -> dict[str, Any]:
        """The options with which a collection is loaded into the server's memory."""
        wanted: dict[str, Any] = {}
        if self.replicas is not None:
            wanted["replica_number"] = self.replicas
        if self.resource_groups:
            wanted["resource_groups"] = self.resource_groups
        return wanted

    def effort_for(self, kind: IndexType) -> int | None:
        """Return the effort that the search parameters name for an index, if they do."""
        value = self.search_params.get(kind.search_param or "")
        return None if value is None else int(value)

    def index_problems(self, *, lite: bool) -> list[str]:
        """Return what is contradictory, or would be ignored.

        Args:
            lite: whether Milvus Lite is meant.
        """
        problems = [*self._of_other_types(), *self._contradictions()]
        problems += misbuilt(self.index_type, self.index_params)
        problems += missearched(self.search_params)
        if lite:
            problems += [
                f"Milvus Lite would ignore {name}: it needs a Milvus server"
                for name in ("shards", "replicas", "resource_groups", "mmap")
                if getattr(self, name)
            ]
        return problems

    def _of_other_types(self) -> Iterator[str]:
        """Yield settings that the index type has no use for."""
        family, named = IndexType(self.index_type, {}).family, "index_type" in self.model_fields_set
        if family == "flat" and named:
            for name in ("recall", "search_params"):
                if getattr(self, name):
                    yield (
                        f"{name} is for approximate indexes; index_type {self.index_type} looks at "
                        f"every record"
                    )
        if family == "flat" and self.index_params:
            yield (
                f"index_params needs an index_type that is built with something; it is "
                f"{self.index_type}"
            )
        if named and family not in {"flat", "other"}:
            for name in ignored(family, self.search_params):
                yield (
                    f"search_params[{name!r}] does not belong to index_type {self.index_type}, "
                    f"which would ignore it"
                )

    def _contradictions(self) -> Iterator[str]:
        efforts = sorted(self.search_params.keys() & {"ef", "nprobe", "search_list"})
        if self.recall is not None and efforts:
            yield (
                f"recall and search_params[{efforts[0]!r}] exclude each other: give the recall, or "
                f"the effort"
            )
        if {"metric_type", "params"} & (self.search_params.keys() | self.index_params.keys()):
            yield (
                "index_params and search_params hold the parameters themselves, as in "
                '{"ef": 500}; the metric is the index\'s own'
            )
        if len(self.resource_groups) > 1 and self.replicas != len(self.resource_groups):
            yield (
                f"{len(self.resource_groups)} resource_groups hold one copy each: they go with "
                f"replicas={len(self.resource_groups)}"
            )
