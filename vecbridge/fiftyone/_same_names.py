"""FiftyOne's own backends whose names vecbridge takes over: one entry for each name.

Everything that tells one from another on FiftyOne's side is said here, and nowhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from vecbridge import Metric


@dataclass(frozen=True)
class SameName:
    """A backend of FiftyOne's own that vecbridge serves under the same name.

    Attributes:
        store: what the store is called, for messages and pages.
        index_parameter: FiftyOne's parameter that names the index of a run in the store.
        names_setting: the setting of vecbridge's backend that maps names of indexes to names in
            the store, where those may be such as ``fiftyone-quickstart``. It is kept with a run.
        longest_name: bytes of a name in the store.
        metric: FiftyOne's default.
        consistency_level: FiftyOne's default, where it has the parameter.
        tells_metric: a collection in the store says how distance is measured in it.
        objects: FiftyOne's attributes of an index that are the store's own: how each is found, of
            what the backend connects with and the index's name in the store.
        unused: FiftyOne's parameters of which nothing comes here, and why.
        kept: settings of the backend that are kept with a run, and cannot hold a secret.
        folder_setting: the setting that names a folder of this machine, where FiftyOne has one as
            its default.
        folder: that folder of FiftyOne's. New indexes are not made there: it may be one that is
            emptied when the machine starts.
    """

    store: str
    index_parameter: str = "collection_name"
    names_setting: str | None = None
    longest_name: int = 255
    metric: Metric = "cosine"
    consistency_level: str | None = None
    tells_metric: bool = True
    objects: Mapping[str, Callable[[Any, str | None], Any]] = field(default_factory=dict)
    unused: Mapping[str, str] = field(default_factory=dict)
    kept: frozenset[str] = frozenset()
    folder_setting: str | None = None
    folder: str | None = None


SAME_NAMES: Mapping[str, SameName] = {
    "milvus": SameName("Milvus", metric="dotproduct", consistency_level="Session"),
    "pgvector": SameName(
        "PostgreSQL",
        index_parameter="table_name",
        names_setting="table_names",
        longest_name=63,
        unused={
            "index_name": "where index_type asks for HNSW or IVFFlat, PostgreSQL chooses the "
            "name. A table that exists is found by table_name",
            "vector_type": "vectors are kept as they are, in float32",
        },
    ),
    "qdrant": SameName(
        "Qdrant",
        names_setting="collection_names",
        objects={"client": lambda session, _: session.client},
    ),
    "lancedb": SameName(
        "LanceDB",
        index_parameter="table_name",
        names_setting="table_names",
        longest_name=200,
        tells_metric=False,
        objects={"table": lambda found, name: found.table(name) if name in found.names() else None},
        kept=frozenset({"uri"}),
        folder_setting="uri",
        folder="/tmp/lancedb",  # noqa: S108 - FiftyOne's default
    ),
    "redis": SameName(
        "Redis",
        index_parameter="index_name",
        names_setting="index_names",
        objects={"client": lambda client, _: client},
    ),
}


def adoptable() -> str:
    """Return the names of FiftyOne's backends whose runs can become vecbridge's, in a sentence."""
    *names, last = ("sklearn", *SAME_NAMES)
    return f"{', '.join(names)} or {last}"
