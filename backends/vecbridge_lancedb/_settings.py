"""The settings of the backend: where the tables are, and how vectors are indexed."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, SecretStr

from vecbridge.remote import GivenNames, RemoteSettings
from vecbridge.settings import local_path

IndexType = Literal[
    "none",
    "ivf_flat",
    "ivf_sq",
    "ivf_pq",
    "ivf_rq",
    "ivf_hnsw_flat",
    "ivf_hnsw_sq",
    "ivf_hnsw_pq",
]

# Narrower than what object stores take: no part of it can be a credential.
_BUCKET = re.compile(r"(s3|gs|az|oss)://[A-Za-z0-9][\w.-]*(/[\w./=+-]*)?")
_REMOTE = "db://"


def _place(value: Any) -> Any:
    if isinstance(value, str) and _BUCKET.fullmatch(value):
        return value
    if isinstance(value, str) and value.startswith(_REMOTE):
        raise ValueError(
            "LanceDB Cloud and Enterprise are not supported; name a folder or a bucket"
        )
    # As a path, it is made absolute where the store goes to another process.
    place = local_path(value)
    return Path(place) if isinstance(place, str) else place


class LancedbSettings(RemoteSettings):
    """Where LanceDB's tables are, and how vectors are searched there.

    The parameters of FiftyOne's own ``lancedb`` backend are settings of the same names here.

    Attributes:
        uri: a folder, or ``s3://bucket/prefix``, ``gs://``, ``az://`` or ``oss://``. It must not
            hold credentials.
        storage_options: options of the object store, by LanceDB's names, such as
            ``aws_access_key_id``, ``endpoint``, ``region``. All of them are kept secret.
        table_names: tables of indexes whose table has another name than the index.
        id_column: column of the ids in a table that another program created.
        vector_column: column of the vectors in such a table; the only one of its kind by default.
        index_type: ``none`` searches exactly; the others approximately, for a given recall.
        recall: share of the true nearest records that an approximate search finds, on average.
        min_index_rows: number of records from which an approximate index is built.
        index_params: arguments of the index, by LanceDB's names, such as ``num_partitions``,
            ``num_sub_vectors``.
        nprobes: fixed number of partitions that a search of an IVF index reads, instead of as many
            as the recall needs.
        ef: fixed number of candidates that a search of an HNSW index examines, instead of as many
            as the recall needs.
        refine_factor: factor by which more candidates are taken from an index than are needed, to
            be ranked by their stored vectors.
    """

    uri: Annotated[str | Path, BeforeValidator(_place)]
    storage_options: dict[str, SecretStr] = Field(default_factory=dict)
    table_names: GivenNames = Field(default_factory=dict)
    id_column: str = "id"
    vector_column: str | None = None
    index_type: IndexType = "none"
    recall: float = Field(default=0.95, gt=0, lt=1)
    min_index_rows: int = Field(default=2048, ge=256)
    index_params: dict[str, int | float] = Field(default_factory=dict)
    nprobes: int | None = Field(default=None, ge=1)
    ef: int | None = Field(default=None, ge=1)
    refine_factor: int | None = Field(default=10, ge=1)

    @property
    def place_of_files(self) -> str | None:
        """Name of the setting that says where the files are; ``None`` where there are none."""
        return None if self.folder is None else "uri"

    @property
    def folder(self) -> Path | None:
        """The folder of the tables; ``None`` in an object store."""
        return self.uri.expanduser() if isinstance(self.uri, Path) else None

    def options(self) -> dict[str, str]:
        """Return what the object store is given, with time limits where it says none."""
        if self.folder is not None:
            return {}
        limit = f"{self.timeout:g}s"
        limits = {"timeout": limit, "connect_timeout": limit, "client_retry_timeout": "1"}
        given = {key: each.get_secret_value() for key, each in self.storage_options.items()}
        return {**limits, **given}
