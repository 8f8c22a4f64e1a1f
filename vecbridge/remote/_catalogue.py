"""What is kept of an index in its store: its schema as a document; names, ids and floats."""

from __future__ import annotations

import hashlib
import json
import struct
import uuid
from collections.abc import Collection, Iterable, Mapping
from types import MappingProxyType
from typing import Any, get_args

from vecbridge._contract._consistency import CONSISTENCY_LEVELS
from vecbridge._contract._field_types import FIELD_TYPES
from vecbridge._contract._limits import NAME
from vecbridge._contract._metric import Metric
from vecbridge._contract._records import IndexInfo
from vecbridge._errors import CorruptStoreError

_VERSION = 1
_DIGEST_BYTES = 8
_UUID_BYTES = 16
_MAGNITUDE = 2**63 - 1


def to_document(info: IndexInfo) -> str:
    """Return the schema of an index as one line of text, to be kept with the index.

    Example:
        >>> to_document(IndexInfo("photos", 2, "cosine", {"label": "string"}))
        '{"vecbridge":1,"name":"photos","dimension":2,"metric":"cosine","fields":{"label":"string"},"consistency":"strong"}'
    """
    document = {
        "vecbridge": _VERSION,
        "name": info.name,
        "dimension": info.dimension,
        "metric": info.metric,
        "fields": dict(info.fields),
        "consistency": info.consistency,
    }
    return json.dumps(document, separators=(",", ":"))


def from_document(text: str, *, backend: str) -> IndexInfo:
    """Read the schema of an index that :func:`to_document` wrote.

    Args:
        text: the document.
        backend: name of the backend, for errors.

    Raises:
        CorruptStoreError: it is no such document, or one of a newer release.
    """
    problem = "it is no document of vecbridge's"
    try:
        found: Any = json.loads(text)
        version = found["vecbridge"]
        if version == _VERSION:
            fields = dict(found["fields"])
            if (
                isinstance(found["name"], str)
                and type(found["dimension"]) is int
                and found["metric"] in get_args(Metric)
                and found["consistency"] in CONSISTENCY_LEVELS
                and set(fields.values()) <= set(FIELD_TYPES)
            ):
                return IndexInfo(
                    found["name"],
                    found["dimension"],
                    found["metric"],
                    MappingProxyType(fields),
                    found["consistency"],
                )
        elif isinstance(version, int):
            problem = f"it is of version {version}, and this release reads {_VERSION}: upgrade"
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    raise CorruptStoreError(
        f"what the store keeps of an index cannot be read: {problem}",
        backend=backend,
        operation="open_index",
    )


def storage_name(name: str, *, longest: int, taken: Collection[str] = ()) -> str:
    """Return a name in the store for an index or a field: the same one, wherever a store takes it.

    No two names have the same one. What is changed ends in a dot and a digest, and no name of the
    contract holds a dot.

    Args:
        name: as the contract has it: ASCII letters, digits and underscores.
        longest: how many characters the store takes; at least 18.
        taken: names that stand for something else in the store.

    Example:
        >>> storage_name("label", longest=63), storage_name("id", longest=63, taken=["id"])
        ('label', 'id.ee19384b32f2fdd9')
    """
    if len(name) <= longest and name not in taken:
        return name
    digest = hashlib.blake2b(name.encode(), digest_size=_DIGEST_BYTES).hexdigest()
    return f"{name[: longest - len(digest) - 1]}.{digest}"


def is_name(text: str) -> bool:
    """Return whether the contract takes a text for the name of an index.

    Example:
        >>> is_name("photos_2"), is_name("2nd.photos")
        (True, False)
    """
    return NAME.fullmatch(text) is not None


def index_names(
    places: Iterable[tuple[str, str | None]],
    *,
    backend: str,
    given: Mapping[str, str] = MappingProxyType({}),
) -> list[str]:
    """Return the names of the indexes in a store.

    Args:
        places: name in the store of each collection that may be an index, and the document that
            :func:`to_document` wrote of it; ``None`` of one that another program made.
        backend: name of the backend, for errors.
        given: names in the store by names of indexes, where the user has named them.

    Example:
        >>> index_names([("p", None), ("q.r", None)], backend="shelf", given={"photos": "p"})
        ['photos']
    """
    names, found = {place: name for name, place in given.items()}, list[str]()
    for place, document in places:
        name = names.get(place, place)
        if document is not None:
            found.append(from_document(document, backend=backend).name)
        elif is_name(name):
            found.append(name)
    return found


def float_key(value: float) -> int:
    """Return a signed integer of 64 bits that stands for a float, and orders as floats do.

    For stores that round floats, or tell them apart wrongly. The two zeros have one each.

    Example:
        >>> [float_key(value) for value in (-1.0, -0.0, 0.0, 5e-324)]
        [-4607182418800017409, -1, 0, 1]
    """
    bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
    return bits if bits >= 0 else -1 - (bits & _MAGNITUDE)


def float_of(key: int) -> float:
    """Return the float of :func:`float_key`.

    Example:
        >>> float_of(float_key(0.1)), float_of(-1)
        (0.1, -0.0)
    """
    bits = key if key >= 0 else -1 - key - _MAGNITUDE - 1
    return float(struct.unpack("<d", struct.pack("<q", bits))[0])


def uuid_of(name: str) -> str:
    """Return a UUID that stands for an id, in a store whose own ids are no strings.

    It is made of 122 bits of a digest: that two ids share one is not to be expected of any number
    of records. The id itself is to be kept beside it.

    Example:
        >>> uuid_of("photo-1")
        'bbf62f7c-0725-5cb7-bfe0-e53dc713d018'
    """
    digest = hashlib.blake2b(name.encode(), digest_size=_UUID_BYTES).digest()
    return str(uuid.UUID(bytes=digest, version=5))
