"""``vecbridge import``: files that others have made."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from vecbridge._contract._metric import METRICS, Metric, parse_metric
from vecbridge._errors import InvalidArgumentError
from vecbridge._redaction import quoted
from vecbridge.cli import _completion as completing
from vecbridge.cli._console import cell, emit, say, table, warn_of_memory
from vecbridge.cli._options import AsJson, Force, IndexName, Named, Options, store_of

if TYPE_CHECKING:
    from vecbridge._contract._field_types import FieldType
    from vecbridge.transfer import Imported

_SHOWN_VALUES = 4

Columns = Annotated[
    list[str] | None,
    typer.Option(
        "--fields",
        metavar="COLUMN[=FIELD],...",
        help="Columns to take, each with the name of its field if that differs; * stands for all "
        "other columns. All columns by default.",
        show_default=False,
    ),
]
Skip = Annotated[
    list[str] | None,
    typer.Option("--skip", metavar="COLUMN,...", help="Columns to leave out.", show_default=False),
]
Types = Annotated[
    list[str] | None,
    typer.Option(
        "--type",
        metavar="COLUMN=TYPE,...",
        help="Types of fields that differ from the types of their columns, as in taken=timestamp "
        "for strings.",
        show_default=False,
    ),
]


def import_index(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            help="A .parquet, .jsonl, .jsonl.gz, .npz or .npy file, or a folder of .parquet files.",
            show_default=False,
        ),
    ],
    name: Named,
    index: IndexName,
    id_column: Annotated[
        str | None,
        typer.Option(help="The column of ids; id, _id, uuid, guid or key by default."),
    ] = None,
    vector_column: Annotated[
        str | None,
        typer.Option(help="The column of vectors; vector, or the only list of floats by default."),
    ] = None,
    fields: Columns = None,
    skip: Skip = None,
    types: Types = None,
    flatten: Annotated[
        bool,
        typer.Option("--flatten", help="Turn the values of a struct into columns of their own."),
    ] = False,
    timezone: Annotated[
        str | None, typer.Option(help="The time zone of times that have none, such as UTC.")
    ] = None,
    ids: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="The ids of a .npy file: text, one per line, or .json or .npy.",
        ),
    ] = None,
    metric: Annotated[
        str | None,
        typer.Option(
            help="cosine, dotproduct or euclidean; the file's by default.",
            autocompletion=completing.among(METRICS),
        ),
    ] = None,
    on_error: Annotated[
        str,
        typer.Option(
            metavar="stop|skip", help="Stop at rows that the index rejects, or skip them."
        ),
    ] = "stop",
    rejects: Annotated[
        Path | None,
        typer.Option(help="With --on-error skip: a JSON Lines file to list those rows in."),
    ] = None,
    force: Force = False,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run", help="Check the file, show what would be written, write nothing."
        ),
    ] = False,
    drop_unsupported: Annotated[
        bool,
        typer.Option(
            "--drop-unsupported",
            help="Continue if the index holds values that no field type expresses, such as JSON.",
        ),
    ] = False,
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Write every record of a file to an index, which is created if necessary.

    The whole file is checked first: if it has an unusable value, nothing is written.
    """
    from vecbridge.cli._progress import bar
    from vecbridge.transfer import import_records

    wanted: Metric | None = None if metric is None else parse_metric(metric)
    columns = None if fields is None else _pairs(fields, "")
    kinds = cast("dict[str, FieldType]", _pairs(types or [], None))
    with store_of(name, option) as store:
        with bar(shown=not json) as progress:
            done = import_records(
                path,
                store,
                index,
                id_column=id_column,
                vector_column=vector_column,
                fields=columns,
                skip=_words(skip or []),
                types=kinds,
                flatten=flatten,
                timezone=timezone,
                ids=ids,
                metric=wanted,
                on_error=cast("Any", on_error),
                rejects=rejects,
                overwrite=force,
                drop_unsupported=drop_unsupported,
                dry_run=dry_run,
                progress=progress,
            )
        if not dry_run:
            warn_of_memory(store, index)
    if json:
        emit(_plan(done) if dry_run else {"records": done.written, "index": index, **_left(done)})
        return
    if dry_run:
        _show(done, path, f"{name}:{index}")
        return
    left_out = f"; {done.left_out:,} left out, listed in {rejects}" if done.left_out else ""
    say(f"{name}:{index}: {done.written:,} records from {path}{left_out}")


def _left(done: Imported) -> dict[str, int]:
    return {"left_out": done.left_out} if done.left_out else {}


def _plan(done: Imported) -> dict[str, object]:
    """Return what a dry run found, for a program."""
    found: dict[str, object] = {
        "records": done.records,
        "left_out": done.left_out,
        "dimension": done.dimension,
        "metric": done.metric,
        "id_column": done.id_column,
        "vector_column": done.vector_column,
        "columns": [each._asdict() for each in done.columns],
    }
    if done.sample is not None:
        fields = done.sample.fields
        found["sample"] = [
            {"id": name, "vector": done.sample.vectors[row].tolist()}
            | {field: column[row] for field, column in fields.items()}
            for row, name in enumerate(done.sample.ids)
        ]
    return found


def _show(done: Imported, path: Path, place: str) -> None:
    """Print what a dry run found, for a person."""
    rows: list[tuple[object, ...]] = [
        (*done.id_column, "id", "string", 0),
        (*done.vector_column, "vector", f"{done.dimension} x float32", 0),
        *done.columns,
    ]
    columns = ["column", "type in file", "field", "type", "missing"]
    table(f"{path} as {place}", columns, rows, numbers=1)
    if done.sample is not None:
        say("")
        for row, name in enumerate(done.sample.ids):
            vector = _abridged(done.sample.vectors[row].tolist())
            values = (f"{n}={cell(column[row])}" for n, column in done.sample.fields.items())
            say(f"{name}  [{vector}]  {'  '.join(values)}")
        say("")
    left_out = f", {done.left_out:,} rows left out" if done.left_out else ""
    say(
        f"would write {done.records:,} records of {done.dimension} dimensions, "
        f"{done.metric or 'with the metric of the store'}{left_out}; nothing was written"
    )


def _abridged(vector: Sequence[float]) -> str:
    numbers = ", ".join(f"{each:.4g}" for each in vector[:_SHOWN_VALUES])
    return f"{numbers}, ..." if len(vector) > _SHOWN_VALUES else numbers


def _words(given: Sequence[str]) -> list[str]:
    return [word for text in given for word in text.split(",") if word]


def _pairs(given: Sequence[str], default: str | None) -> dict[str, str]:
    """Return what follows each ``=``, by what stands before it."""
    pairs = {}
    for word in _words(given):
        key, equals, value = word.partition("=")
        if not equals and default is None:
            raise InvalidArgumentError(f"--type is COLUMN=TYPE; there is no = in {quoted(word)}")
        pairs[key] = value if equals else default or ""
    return pairs
