"""Arguments and options that several commands take, and the store that they name."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated

import typer

from vecbridge._config._names import suggestion
from vecbridge._config._registry import store_of as configured_store
from vecbridge._config._sources import Given, Source
from vecbridge._errors import IndexNotFoundError, InvalidArgumentError
from vecbridge._redaction import quoted
from vecbridge.cli import _completion
from vecbridge.cli._seen import saw_index, saw_settings

if TYPE_CHECKING:
    from vecbridge._client import Index, Store

Backend = Annotated[
    str | None,
    typer.Argument(
        metavar="BACKEND",
        help="A backend, such as milvus; the configured default if left out.",
        show_default=False,
        autocompletion=_completion.backends,
    ),
]
Named = Annotated[
    str,
    typer.Argument(
        metavar="BACKEND",
        help="A backend, such as milvus.",
        show_default=False,
        autocompletion=_completion.backends,
    ),
]
IndexName = Annotated[
    str,
    typer.Argument(
        metavar="INDEX",
        help="An index of that backend.",
        show_default=False,
        autocompletion=_completion.indexes,
    ),
]
Options = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        autocompletion=_completion.settings,
        help="A setting of the backend, such as uri=vectors.db. Give a secret by its "
        "environment variable instead: other users can read command lines.",
        show_default=False,
    ),
]
_PLACE = "a backend and one of its indexes, as in milvus:photos"
From = Annotated[
    str,
    typer.Argument(
        metavar="FROM",
        help=f"The source: {_PLACE}.",
        show_default=False,
        autocompletion=_completion.places,
    ),
]
To = Annotated[
    str,
    typer.Argument(
        metavar="TO",
        help=f"The target: {_PLACE}.",
        show_default=False,
        autocompletion=_completion.places,
    ),
]
BothOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        autocompletion=_completion.settings,
        help="A setting of both backends, such as uri=vectors.db.",
        show_default=False,
    ),
]
FromOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--from-option",
        "-f",
        metavar="KEY=VALUE",
        autocompletion=_completion.settings_from,
        help="A setting of FROM's backend only.",
        show_default=False,
    ),
]
ToOptions = Annotated[
    list[str] | None,
    typer.Option(
        "--to-option",
        "-t",
        metavar="KEY=VALUE",
        autocompletion=_completion.settings_to,
        help="A setting of TO's backend only.",
        show_default=False,
    ),
]
DropUnsupported = Annotated[
    bool,
    typer.Option(
        "--drop-unsupported",
        help="Leave out values of the records that no field type expresses, such as JSON.",
    ),
]
Force = Annotated[bool, typer.Option("--force", help="Replace the file if it exists.")]
Where = Annotated[
    str | None,
    typer.Option(
        "--where",
        metavar="FILTER",
        help="Only records that match, as in 'label == \"cat\" and score > 0.5'.",
        show_default=False,
    ),
]
Workers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        min=1,
        metavar="N",
        help="Work in N processes on this machine.",
        show_default=False,
    ),
]
DaskCluster = Annotated[
    str | None,
    typer.Option(
        "--dask",
        metavar="ADDRESS",
        help="Work on the Dask cluster whose scheduler has this address.",
        show_default=False,
    ),
]
RayCluster = Annotated[
    str | None,
    typer.Option(
        "--ray",
        metavar="ADDRESS",
        help="Work on the Ray cluster at this address; auto for the one on this machine.",
        show_default=False,
    ),
]
Partitions = Annotated[
    int | None,
    typer.Option(
        "--partitions",
        min=1,
        metavar="N",
        help="Number of id ranges to work on one by one; by default, 32 MiB of vectors each.",
        show_default=False,
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, including errors.")]


def options_of(given: Sequence[str] | None) -> dict[str, str]:
    """Return the settings in ``KEY=VALUE`` words."""
    if wrong := [text for text in given or () if "=" not in text]:
        raise InvalidArgumentError(
            f"an option is KEY=VALUE; there is no = after {', '.join(map(quoted, wrong))}"
        )
    return dict(text.split("=", 1) for text in given or ())


def given_of(option: Sequence[str] | None) -> dict[str, Given]:
    """Return the settings in ``KEY=VALUE`` words, whose source is the option."""
    source = Source("keyword", "--option")
    return {key: Given(key, text, source) for key, text in options_of(option).items()}


def joined(both: Sequence[str] | None, own: Sequence[str] | None) -> list[str]:
    """Return the settings of one of two stores: its own ones win over those of both."""
    return [*(both or ()), *(own or ())]


def place_of(text: str) -> tuple[str, str]:
    """Return the backend and the index in a place such as ``milvus:photos``."""
    backend, colon, index = text.partition(":")
    if not (backend and colon and index):
        raise InvalidArgumentError(f"expected {_PLACE}; got {quoted(text)}")
    return backend, index


def store_of(backend: str | None, option: Sequence[str] | None) -> Store:
    """Return the store of a backend, with these settings."""
    store = configured_store(backend, given_of(option))
    saw_settings(store.name, type(store.backend).settings_type)
    return store


@contextmanager
def executor_of(
    workers: int | None, dask: str | None, ray: str | None
) -> Iterator[Executor | None]:
    """Yield where partitions are worked on; ``None`` for this process."""
    if sum(each is not None for each in (workers, dask, ray)) > 1:
        raise InvalidArgumentError("give only one of --workers, --dask and --ray")
    from vecbridge.bulk import RayExecutor, WorkerPool, dask_executor

    if workers is not None:
        with WorkerPool(workers) as pool:
            yield pool
    elif dask is not None:
        with dask_executor(dask) as executor:
            yield executor
    elif ray is not None:
        # Ray tells of lost workers on the output, where programs expect the answer alone.
        with redirect_stdout(sys.stderr), RayExecutor(ray) as cluster:
            yield cluster
    else:
        yield None


@contextmanager
def opened(backend: str, name: str, option: Sequence[str] | None) -> Iterator[Index]:
    """Yield an index of a store, while the block lasts.

    Raises:
        IndexNotFoundError: there is no such index; the error has the nearest name.
    """
    with store_of(backend, option) as store:
        with nearest_told(store, name):
            index = store.open_index(name)
        with index:
            saw_index(store.name, options_of(option), name, index.info.fields)
            yield index


@contextmanager
def nearest_told(store: Store, name: str) -> Iterator[None]:
    """Name the index that may be meant, where the block finds none of a name."""
    try:
        yield
    except IndexNotFoundError as error:
        near = suggestion(name, store.index_names())
        raise IndexNotFoundError(f"{error}{near}") if near else error from None
