"""Runs of FiftyOne's own adapters, on real stores: what there is to take over."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest

from tests.live.fiftyone.cases import Digits

_numbers = itertools.count()
_CORE = "fiftyone.brain.internal.core"


@dataclass(frozen=True)
class Own:
    """A backend that FiftyOne and vecbridge both have.

    Attributes:
        name: of the backend.
        options: what leads to the store, by the names of both.
        parameter: FiftyOne's, that names the index.
        works: makes FiftyOne's adapter work as this machine is, while its block lasts.
    """

    name: str
    options: dict[str, Any]
    parameter: str
    works: Callable[[], Any] = nullcontext

    @property
    def cls(self) -> str:
        """The path of FiftyOne's configuration class."""
        from fiftyone.brain.config import BrainConfig

        return str(BrainConfig._BUILTIN_SIMILARITY_BACKENDS[self.name]["config_cls"])

    def run(self, digits: Digits, metric: str = "euclidean", **options: Any) -> tuple[str, str]:
        """Compute a similarity with FiftyOne's adapter; return its key and the index's name."""
        import eta.core.utils as etau
        import fiftyone.brain as fob

        number = next(_numbers)
        key, named = f"own_{self.name}_{number}", {self.parameter: f"fiftyone-digits-{number}"}
        # Qdrant's embedded engine has a parameter that FiftyOne's adapter does not.
        given = {name: value for name, value in self.options.items() if name != "path"}
        with self.works():
            made = fob.compute_similarity(
                digits.dataset,
                backend=etau.get_class(self.cls),
                brain_key=key,
                metric=metric,
                **{"embeddings": digits.vectors, **named, **given, **options},
            )
        return key, getattr(made.config, self.parameter)


@contextmanager
def embedded_qdrant(path: str) -> Iterator[None]:
    """Let FiftyOne's adapter, which knows servers alone, use the embedded engine."""
    import fiftyone.brain.internal.core.qdrant as own
    import qdrant_client

    client = qdrant_client.QdrantClient(path=path)
    try:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(own, "qdrant", SimpleNamespace(QdrantClient=lambda **_: client))
            yield
    finally:
        client.close()


@contextmanager
def renamed_redis_module() -> Iterator[None]:
    """Let FiftyOne's adapter find a module that redis-py has renamed since."""
    from redis.commands.search import index_definition

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "redis.commands.search.indexDefinition", index_definition)
        yield
