"""Names of backends, of their names in FiftyOne, and of their classes."""

from __future__ import annotations

import re

from vecbridge._config._names import PREFIX
from vecbridge._config._registry import backend_names

MODULE = "vecbridge.fiftyone.similarity"

_CLASS = re.compile(r"([A-Z][A-Za-z0-9]*)Similarity(?:Config|Index)?")


def config_class(backend: str) -> str:
    """The dotted path of a backend's configuration class, which is stable."""
    return f"{MODULE}.{_stem(backend)}SimilarityConfig"


def method_of(backend: str) -> str:
    """A backend's name in FiftyOne: Milvus is FiftyOne's own, the others stand beside its."""
    return backend if backend == "milvus" else PREFIX + backend


def backend_of(class_name: str) -> str | None:
    """The backend whose class this would be; ``None`` where it is no such class's name.

    A run outlives its backend's package: with that uninstalled, its class still loads, so that the
    run can be listed and deleted, and says what is missing when it is used.
    """
    matched = _CLASS.fullmatch(class_name)
    if matched is None:
        return None
    stem = matched.group(1)
    installed = next((name for name in backend_names() if _stem(name) == stem), None)
    return installed or re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", stem).lower()


def _stem(backend: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"[^A-Za-z0-9]+", backend))
