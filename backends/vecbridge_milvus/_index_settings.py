"""Settings of how indexes are built and searched."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any, cast

from pydantic import BeforeValidator, Field

from vecbridge.settings import Settings
from vecbridge_milvus._index_types import IndexType, misbuilt, resembled

_BY_PARAMETER = {
    "ef": {"graph", "auto"},
    "nprobe": {"cells"},
    "search_list": {"disk"},
    "reorder_k": {"cells"},
}
_FIELD = r"^[A-Za-z_][A-Za-z0-9_]*$"
"""Names that Milvus gives to fields."""


def _upper(value: Any) -> Any:
    return value.strip().upper() if isinstance(value, str) else value


def _parsed(value: Any) -> Any:
    """An environment variable holds a mapping as JSON."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except (ValueError, RecursionError):
        # Not from the error, which holds the whole text.
        raise ValueError('must be a JSON object, as in {"M": 16}') from None


def _listed(value: Any) -> Any:
    """An environment variable holds names between commas."""
    if not isinstance(value, str):
        return value
    return [part for name in value.split(",") if (part := name.strip())]


Parameters = Annotated[dict[str, int | float | bool | str], BeforeValidator(_parsed)]


class IndexSettings(Settings):
    """How new indexes are built, how all are searched, and how foreign collections are read.

    Attributes:
        index_type: Milvus's name of the index that a new collection gets: ``FLAT``, ``HNSW``,
            ``IVF_FLAT``, ``IVF_SQ8``, ``IVF_PQ``, ``SCANN``, ``DISKANN``, ``AUTOINDEX``,
            ``HNSW_SQ``, ``IVF_RABITQ``, or any other that the server has. ``FLAT`` by default,
            which looks at every record, and so ranks exactly.
        index_params: what that index is built with, as in ``{"M": 16, "efConstruction": 200}``.
        search_params: how hard an approximate index tries, as in ``{"ef": 500}`` or
            ``{"nprobe": 64}``, instead of a recall; never less is sent than ``k`` needs.
        recall: what share of the true neighbours an approximate index finds, on average. Its
            effort is tuned to that, by one pass over the records in the first search.
        shards: write channels of a new collection.
        replicas: copies of an index in memory, each on query nodes of its own.
        resource_groups: names of the groups of query nodes that hold the copies.
        mmap: map a new collection's files into memory instead of reading them in.
        partition_key: a scalar field by whose values a new collection's records are kept
            together, so that a filter on it looks at few of them.
        key_field: the primary key of collections that somebody else made.
        vector_field: their field of vectors; needed where there are several.
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
        """What a collection is loaded into the server's memory with."""
        wanted: dict[str, Any] = {}
        if self.replicas is not None:
            wanted["replica_number"] = self.replicas
        if self.resource_groups:
            wanted["resource_groups"] = self.resource_groups
        return wanted

    def index_problems(self, *, lite: bool) -> list[str]:
        """What contradicts, or would be ignored.

        Args:
            lite: whether Milvus Lite is meant.
        """
        problems = []
        family = IndexType(self.index_type, {}).family
        if "index_type" in self.model_fields_set and family == "flat":
            problems += [
                f"{name} is for approximate indexes; index_type {self.index_type} looks at every "
                f"record"
                for name in ("recall", "search_params")
                if getattr(self, name)
            ]
        if self.index_params and family == "flat":
            problems.append(
                f"index_params needs an index_type that is built with something; it is "
                f"{self.index_type}"
            )
        if "index_type" in self.model_fields_set and family not in {"flat", "other"}:
            problems += self._misplaced(family)
        problems += self._contradictions() + self._unusable()
        problems += misbuilt(self.index_type, self.index_params) + self._misspelt()
        if lite:
            problems += [
                f"Milvus Lite would ignore {name}: it needs a Milvus server"
                for name in ("shards", "replicas", "resource_groups", "mmap")
                if getattr(self, name)
            ]
        return problems

    def _contradictions(self) -> list[str]:
        problems = []
        knobs = sorted(self.search_params.keys() & {"ef", "nprobe", "search_list"})
        if self.recall is not None and knobs:
            problems.append(
                f"recall and search_params[{knobs[0]!r}] exclude each other: give the recall that "
                f"is wanted, or the effort"
            )
        if {"metric_type", "params"} & (self.search_params.keys() | self.index_params.keys()):
            problems.append(
                "index_params and search_params hold the parameters themselves, as in "
                '{"ef": 500}; the metric is the index\'s own'
            )
        if len(self.resource_groups) > 1 and self.replicas != len(self.resource_groups):
            problems.append(
                f"{len(self.resource_groups)} resource_groups hold one copy each: they go with "
                f"replicas={len(self.resource_groups)}"
            )
        return problems

    def _unusable(self) -> list[str]:
        return [
            f"search_params[{name!r}] must be a whole number of at least 1; got {value!r}"
            for name, value in self.search_params.items()
            if name in _BY_PARAMETER and (type(value) is not int or value < 1)
        ]

    def _misspelt(self) -> list[str]:
        """Names that servers would pass over without a word."""
        misplaced = [
            f"{name!r} belongs into search_params, not into index_params"
            for name in self.index_params
            if name in _BY_PARAMETER
        ]
        return misplaced + [
            f"search_params has no {name!r}; did you mean {meant!r}?"
            for name in self.search_params
            if name not in _BY_PARAMETER and (meant := resembled(name, _BY_PARAMETER))
        ]

    def _misplaced(self, family: str) -> list[str]:
        return [
            f"search_params[{name!r}] does not belong to index_type {self.index_type}, which "
            f"would ignore it"
            for name in self.search_params
            if name in _BY_PARAMETER and family not in _BY_PARAMETER[name]
        ]


def effort_given(parameters: Mapping[str, object], kind: IndexType) -> int | None:
    """The effort that the user's search parameters name for an index, if they do."""
    value = parameters.get(kind.knob) if kind.knob is not None else None
    return None if value is None else int(cast("int", value))
