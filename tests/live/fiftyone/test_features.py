"""Every feature of FiftyOne's similarity interface, on every store.

``make features`` runs FiftyOne's own two backends too, and writes the table of the documentation.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from tests.live.fiftyone.cases import Case, Digits, Elsewhere, make_digits
from tests.live.fiftyone.features import FEATURES, Feature, World, page
from tests.live.fiftyone.features._table import BRIEF, OURS, THEIRS
from tests.live.fiftyone.media import Media

PAGE = os.environ.get("VECBRIDGE_FEATURES_PAGE")
CELLS = [
    (column, row)
    for row in FEATURES
    for column in [*OURS, *(THEIRS if PAGE else [])]
    if PAGE or row.brief or column not in BRIEF
]
METHODS = {
    "lite": "milvus",
    "server": "milvus",
    "own-sklearn": "sklearn",
    "own-milvus": "milvus",
    **{name: name for name in ("pgvector", "qdrant", "lancedb", "redis")},
}


@pytest.fixture(scope="session")
def sixty(fob: Any, tmp_path_factory: pytest.TempPathFactory) -> Digits:
    return make_digits(tmp_path_factory.mktemp("sixty"), count=60)


@pytest.fixture(scope="session")
def media(fob: Any, tmp_path_factory: pytest.TempPathFactory) -> Media:
    return Media(tmp_path_factory.mktemp("media"))


@pytest.fixture(scope="session")
def results() -> Iterator[dict[tuple[str, str], str]]:
    """What went wrong, for each store and feature that was run; written to the page at the end."""
    found: dict[tuple[str, str], str] = {}
    yield found
    if PAGE:
        versions = {"fiftyone": version("fiftyone"), "brain": version("fiftyone-brain")}
        Path(PAGE).write_text(page(found, versions), encoding="utf-8")


@pytest.fixture(scope="session")
def column(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def world(
    column: str,
    request: pytest.FixtureRequest,
    sixty: Digits,
    media: Media,
    models: Any,
    zoo_model: str,
    elsewhere: Elsewhere,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[World]:
    folder = tmp_path_factory.mktemp(column)
    options: dict[str, Any] = {"path": str(folder)}
    if column == "lite":
        options = {"uri": str(folder / "vectors.db")}
    elif column in {"server", "own-milvus"}:
        options = {"uri": request.getfixturevalue("milvus_server_uri")}
    elif column == "pgvector":
        options = {"connection_string": request.getfixturevalue("pgvector_uri")}
    elif column == "lancedb":
        options = {"uri": str(folder)}
    elif column == "redis":
        port = request.getfixturevalue("redis_server").port
        options = {"host": "127.0.0.1", "port": port}
    elif column == "own-sklearn":
        options = {}
    backend: Any = METHODS.get(column, f"vecbridge_{column}")
    if column == "own-milvus":
        from fiftyone.brain.internal.core.milvus import MilvusSimilarityConfig

        backend = MilvusSimilarityConfig
    made = World(
        case=Case(backend, options),
        ours=column in OURS,
        digits=sixty,
        elsewhere=elsewhere,
        models=models,
        zoo=zoo_model,
        media=media,
        method=METHODS.get(column, f"vecbridge_{column}"),
        pooled=column == "server",
        alone=column in {"qdrant", "chroma"},
    )
    with pytest.MonkeyPatch.context() as patch:
        if column == "own-milvus":
            import fiftyone.brain as fob

            # As if the environment had said it when FiftyOne was imported.
            patch.setitem(fob.brain_config.similarity_backends["milvus"], "uri", options["uri"])
        yield made
        made.close()


@pytest.mark.parametrize(
    ("column", "row"),
    CELLS,
    ids=[f"{column}: {row.group}: {row.title}" for column, row in CELLS],
    indirect=["column"],
    scope="session",
)
@pytest.mark.filterwarnings(
    "ignore::DeprecationWarning", "ignore::FutureWarning", "ignore:invalid value:RuntimeWarning"
)
def test_store_has_the_feature(
    world: World, column: str, row: Feature, results: dict[tuple[str, str], str]
) -> None:
    results[column, row.title] = "this test did not end"
    try:
        row.check(world)
    except (Exception, pytest.fail.Exception) as error:
        results[column, row.title] = reason(error)
        if column in OURS:
            raise
    else:
        results[column, row.title] = ""
    finally:
        world.images.clear_view()
        world.tidy()


def reason(error: BaseException) -> str:
    """What went wrong, in a line."""
    if isinstance(error, pytest.fail.Exception):
        return "nothing was refused"
    if type(error) is AssertionError and not str(error).startswith("an unknown"):
        return "the answer was another"
    # A set is written in another order by each process.
    text = re.sub(r"(?<=\{)[^{}:]+(?=\})", _in_order, str(error).split("\n")[0])
    text = " ".join(text.split()).replace("|", "/")[:160]
    return f"`{type(error).__name__}`" + (f": {text}" if text else "")


def _in_order(members: re.Match[str]) -> str:
    return ", ".join(sorted(members[0].split(", ")))
