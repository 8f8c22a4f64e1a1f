"""``vecbridge search``: the nearest records to a record or to vectors, and their fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from vecbridge._contract._ranking import RANKINGS, parse_ranking
from vecbridge._errors import InvalidArgumentError
from vecbridge._redaction import quoted
from vecbridge.cli import _completion as completing
from vecbridge.cli._console import cell, emit, say, table
from vecbridge.cli._filter_text import filter_of
from vecbridge.cli._options import AsJson, IndexName, Named, Options, Where, opened

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import ArrayLike, NDArray

    from vecbridge._client import Index
    from vecbridge._contract._hits import Hits


def search(
    name: Named,
    index: IndexName,
    like: Annotated[
        str | None,
        typer.Option(
            "--id", help="Search with the vector of this record, which is left out of the hits."
        ),
    ] = None,
    vector: Annotated[
        str | None,
        typer.Option(metavar="NUMBERS", help="Search with this vector, as in 0.5,-1,2."),
    ] = None,
    vector_file: Annotated[
        Path | None,
        typer.Option(
            exists=True, dir_okay=False, help="Search with the vectors of this .npy file."
        ),
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="Number of hits.")] = 10,
    where: Where = None,
    fields: Annotated[
        str | None,
        typer.Option(
            metavar="NAMES",
            help="Show these fields of each hit, as in label,score.",
            autocompletion=completing.fields,
        ),
    ] = None,
    farthest: Annotated[bool, typer.Option("--farthest", help="Rank farthest first.")] = False,
    ranking: Annotated[
        str,
        typer.Option(
            help="How sure the answer has to be: exact, certified, no-scan or native.",
            autocompletion=completing.among(RANKINGS),
        ),
    ] = "exact",
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Rank the records of an index by their distance to a record or to vectors."""
    if [like, vector, vector_file].count(None) != 2:
        raise InvalidArgumentError("give one of --id, --vector and --vector-file")
    wanted = parse_ranking(ranking)
    if farthest and wanted in ("no-scan", "native"):
        raise InvalidArgumentError(f"--farthest is always certified; leave out --ranking {wanted}")
    matching = filter_of(where)
    names = [] if fields is None else [each.strip() for each in fields.split(",")]
    with opened(name, index, option) as held:
        queries = _queries(held, like, vector, vector_file)
        limit = k if like is None else k + 1
        if farthest:
            answers = held.farthest(queries, limit, where=matching, fields=names)
        else:
            answers = held.search(queries, limit, where=matching, fields=names, ranking=wanted)
    if like is not None:
        answers = [_others(hits, like, k) for hits in answers]
    if json:
        parts = ("ids", "distances", "exact", "fields")
        emit([{part: getattr(hits, part) for part in parts} for hits in answers])
        return
    for number, hits in enumerate(answers):
        _show(hits, f"Query {number}" if len(answers) > 1 else "", names)


def _queries(
    index: Index, like: str | None, vector: str | None, vector_file: Path | None
) -> ArrayLike:
    if like is not None:
        return _of_record(index, like)
    if vector_file is not None:
        return _from_file(vector_file)
    return list(map(_number, str(vector).split(",")))


def _of_record(index: Index, name: str) -> NDArray[np.float32]:
    found = index.fetch([name], fields=False)
    if found.missing:
        raise InvalidArgumentError(f"index {index.info.name!r} has no record with the id {name!r}")
    return found.vectors


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise InvalidArgumentError(
            f"--vector takes numbers separated by commas, as in 0.5,-1,2; {quoted(word)} is not a "
            f"number. Give a file of vectors with --vector-file"
        ) from None


def _from_file(path: Path) -> NDArray[Any]:
    import numpy as np

    try:
        # Never with pickles: a file of vectors must not be able to run anything.
        loaded = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise InvalidArgumentError(f"{path} is not a .npy file of vectors: {error}") from error
    if not isinstance(loaded, np.ndarray):
        loaded.close()
        raise InvalidArgumentError(f"{path} holds several arrays; a .npy file holds one")
    return loaded


def _others(hits: Hits, name: str, k: int) -> Hits:
    """Return the first hits but for one record."""
    kept = [row for row, found in enumerate(hits.ids) if found != name][:k]
    # The beginning of a ranking, without one record, begins the ranking of the others.
    return replace(hits.take(kept), exact=hits.exact)


def _show(hits: Hits, title: str, fields: Sequence[str]) -> None:
    rows = [
        (place, hit.id, *(cell(hit.fields[each]) for each in fields), f"{hit.distance:.9g}")
        for place, hit in enumerate(hits, start=1)
    ]
    table(title, ["", "id", *fields, "distance"], rows, numbers=1)
    if not hits.exact:
        say("not certified; --ranking certified looks at every record")
