"""Indexes that another program made: its documents, read and written as they are."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from vecbridge import Fields, IdRange, IndexInfo, Metric, SchemaMismatchError, Scope
from vecbridge.fields import FieldType
from vecbridge.remote import Columns, Nearest, Page
from vecbridge_redis._collection import METRICS, Hashes, Row
from vecbridge_redis._connection import Client, Command, Server, text_of, words
from vecbridge_redis._searched import Layout

NAME = re.compile("[A-Za-z_][A-Za-z0-9_]{0,254}")
"""What the contract takes for a name."""

_TEXTS = ("TAG", "TEXT")
_ID = "foid"
_KEYS = 10_000


class Documents(NamedTuple):
    """How another program keeps its records.

    Attributes:
        kind: ``HASH`` or ``JSON``.
        attribute: name of the vectors in queries.
        vector: name of the vectors in documents.
        identified: documents have their ids in them, as those of FiftyOne's own backend.
    """

    kind: str
    attribute: str
    vector: str
    identified: bool


class Adopted(Hashes):
    """Implements :class:`vecbridge.remote.Collection` on the documents of another program.

    Their index tells nothing of the lengths of the vectors, so that nothing is known of what a
    search leaves out; and it compares strings in its own way. So its searches are not exact, and
    filters are evaluated by the client layer.

    Args:
        layout: how the index is kept.
        documents: how its records are.
    """

    exhaustive = False
    efforts: Sequence[int] = (1,)

    def __init__(self, layout: Layout, documents: Documents) -> None:
        super().__init__(layout)
        self._documents = documents
        self.capabilities = replace(
            self.capabilities,
            exact=False,
            recall=None,
            filters=frozenset(),
            filters_except=frozenset(),
        )

    def put(
        self,
        client: Client,
        ids: Sequence[str],
        vectors: NDArray[np.float32],
        norms: NDArray[np.float64],
        fields: Fields,
    ) -> None:
        """Write into documents in one transaction; what else these hold stays."""
        commands: list[Command] = []
        for row, (name, key) in enumerate(zip(ids, self._keys(ids), strict=True)):
            values: dict[str, Any] = {field: column[row] for field, column in fields.items()}
            values |= {_ID: name} if self._documents.identified else {}
            if self._documents.kind == "JSON":
                values[self._documents.vector] = vectors[row].tolist()
                commands.append(("JSON.MERGE", key, "$", json.dumps(values)))
                continue
            pairs = [each for pair in values.items() if pair[1] is not None for each in pair]
            commands.append(("HDEL", key, *values))
            commands.append(("HSET", key, self._documents.vector, vectors[row].tobytes(), *pairs))
        for answer in self._answers(client, commands, atomic=True):
            if isinstance(answer, Exception):
                raise answer

    def remove(self, client: Client, ids: Sequence[str]) -> None:
        """Delete documents that are records; what else has such keys stays."""
        rows = self._rows(client, self._keys(ids), Columns(vectors=False))
        self._ask(client, [("DEL", *(key for key, _ in rows))] if rows else [])

    def count(self, client: Client, scope: Scope) -> int:
        """Return the number of documents that have a vector."""
        keys, total = self._all_keys(client, scope), 0
        vector, whole = self._documents.vector, 4 * self.info.dimension
        command: tuple[str, ...] = ("HSTRLEN",)
        if self._documents.kind == "JSON":
            command, vector, whole = ("JSON.ARRLEN",), f"$.{vector}", self.info.dimension
        for start in range(0, len(keys), _KEYS):
            part = [(*command, key, vector) for key in keys[start : start + _KEYS]]
            total += sum(size in (whole, [whole]) for size in self._answers(client, part))
        return total

    def page(
        self,
        client: Client,
        scope: Scope,
        ids: IdRange | None,
        limit: int,
        after: tuple[list[str], int] | None,
        columns: Columns,
    ) -> Page:
        """Return records by the order of their keys; of their lengths nothing is known."""
        if scope.where is not None:
            return Page(self._records([], columns), None)
        return super().page(client, scope, ids, limit, after, columns)

    def nearest(
        self,
        client: Client,
        queries: NDArray[np.float32],
        limit: int,
        scope: Scope,
        effort: int | None,
    ) -> list[Nearest]:
        """Return the nearest records of each query, as the index has them."""
        attribute = re.sub(r"(\W)", r"\\\1", self._documents.attribute)
        query = f"*=>[KNN {limit} @{attribute} $query AS score]"
        wanted = ("SORTBY", "score", "RETURN", 1, "score")
        answers, columns = [], Columns(vectors=True)
        for each in queries:
            params = ("PARAMS", 2, "query", each.tobytes())
            search = self._search(query, scope, limit, *wanted, *params)
            _, hits = self._found(self._ask(client, [search])[0], ("score",), limit)
            scores = {key: float(values[0]) for key, values in hits}
            rows = self._rows(client, list(scores), columns)
            records = self._records(rows, columns)
            found = np.array([scores[key] for key, _ in rows], np.float64)
            answers.append(Nearest(records.ids, found, records.vectors))
        return answers

    def _rows(self, client: Client, keys: Sequence[str], columns: Columns) -> list[Row]:
        """Return the documents that have a vector; what else has such keys is no record."""
        names = (self._documents.vector, *columns.fields)
        is_json = self._documents.kind == "JSON"
        read = [("JSON.GET", key) if is_json else ("HMGET", key, *names) for key in keys]
        rows: list[Row] = []
        for key, answer in zip(keys, self._answers(client, read), strict=True):
            if answer is None or isinstance(answer, Exception):
                continue
            vector, *values = _members(answer, names) if is_json else answer
            if isinstance(vector, bytes) and len(vector) == 4 * self.info.dimension:
                # As the hashes of vecbridge's own have it.
                rows.append((key, [b"", *((vector, None) if columns.vectors else ()), *values]))
        return rows


def adopted(found: Mapping[str, Any], name: str, search: str, server: Server) -> Adopted:
    """Return an index that another program made.

    Args:
        found: what the server says of its index of searches.
        name: of the index.
        search: of its index of searches.
        server: what it is kept on.

    Raises:
        SchemaMismatchError: it is not laid out in a way that an index can be kept in.
    """
    definition = words(found["index_definition"])
    attributes = [words(each) for each in found["attributes"]]
    vectors = [each for each in attributes if text_of(each["type"]) == "VECTOR"]
    names = {text_of(each["attribute"]): text_of(each["identifier"]) for each in attributes}
    attribute = text_of(vectors[0]["attribute"])
    kind, path = text_of(definition["key_type"]), names[attribute].removeprefix("$.")
    problem = ""
    if len(vectors) != 1 or text_of(vectors[0]["data_type"]) != "FLOAT32":
        problem = "it has not one attribute of vectors of type FLOAT32"
    elif len(definition["prefixes"]) != 1 or definition["prefixes"][0] in (b"", b"*"):
        problem = "it is not over the keys of one prefix"
    elif "filter" in definition:
        problem = "a FILTER leaves out some of its keys"
    elif kind == "JSON" and not NAME.fullmatch(path):
        problem = "its vectors do not stand at the top of its documents"
    if problem:
        raise SchemaMismatchError(
            f"the index {search!r} of Redis was made by another program, and cannot be one of "
            f"vecbridge's: {problem}"
        )
    fields: dict[str, FieldType] = {}
    unsupported = {}
    for each in attributes:
        field = text_of(each["identifier"]).removeprefix("$.")
        if each is vectors[0] or field == _ID:
            continue
        if text_of(each["type"]) in _TEXTS and NAME.fullmatch(field):
            fields[field] = "string?"
        else:
            unsupported[field] = text_of(each["type"])
    metrics: dict[str, Metric] = {word: metric for metric, word in METRICS.items()}
    info = IndexInfo(
        name,
        int(vectors[0]["dim"]),
        metrics[text_of(vectors[0]["distance_metric"])],
        MappingProxyType(fields),
        unsupported=MappingProxyType(unsupported),
    )
    layout = Layout(info, search, text_of(definition["prefixes"][0]), None, server)
    return Adopted(layout, Documents(kind, attribute, path, identified=_ID in names))


def _members(document: bytes, names: Sequence[str]) -> list[bytes | None]:
    """Return a vector and texts of a JSON document; what is of another kind is none."""
    found = json.loads(document)
    values: list[Any] = [found.get(name) for name in names] if isinstance(found, dict) else [None]
    blob: bytes | None = None
    with suppress(TypeError, ValueError):
        blob = np.array(values[0], np.float32).tobytes() if isinstance(values[0], list) else None
    texts = (each.encode() if isinstance(each, str) else None for each in values[1:])
    return [blob, *texts]
