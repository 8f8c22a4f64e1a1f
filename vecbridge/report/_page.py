"""Pages that need no other file, and a survey as one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from html import escape

from vecbridge.report._distribution import Distribution, histogram
from vecbridge.report._neighborhoods import Neighborhoods
from vecbridge.report._recall import Recall
from vecbridge.report._survey import Survey

_HUBS = 2.0
_STYLE = """
:root { color-scheme: light dark; --ground: #fff; --ink: #1c1e24; --soft: #5b6270;
  --line: #d9dce3; --card: #f5f6f9; --mark: #3f51b5; --good: #137333; --bad: #b3261e;
  --known: #8a5300 }
@media (prefers-color-scheme: dark) { :root { --ground: #14161b; --ink: #e6e8ee; --soft: #a0a7b6;
  --line: #343945; --card: #1d2027; --mark: #8c9eff; --good: #6dd58c; --bad: #ff8a80;
  --known: #ffb74d } }
* { box-sizing: border-box }
body { font: 15px/1.5 system-ui, sans-serif; color: var(--ink); background: var(--ground);
  margin: 0 auto; max-width: 76rem; padding: 1.5rem 1rem 3rem }
h1 { font-size: 1.7rem; margin: 0; overflow-wrap: anywhere }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .5rem }
p { max-width: 52rem; margin: .4rem 0 } .soft, figcaption, small { color: var(--soft) }
/* Not where there is room: within it, heads would not stick to the window. */
@media (max-width: 60rem) { .scroll { overflow-x: auto } }
table { border-collapse: collapse; width: 100% }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left;
  overflow-wrap: anywhere }
.matrix th, .matrix td { overflow-wrap: normal } .matrix td:first-child { white-space: nowrap }
thead th { position: sticky; top: 0; background: var(--ground) }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap }
td.v { text-align: center; white-space: nowrap } td.v a { color: inherit }
td.clause { min-width: 15rem } td.clause small { display: block; white-space: normal }
tr.family th { padding-top: 1.2rem; font-size: 1.1em }
.kept { color: var(--good) } .known { color: var(--known) }
.broken { color: var(--ground); background: var(--bad); font-weight: 700 }
.vacuous, .not-run { color: var(--soft) } td.v small { color: inherit }
a { color: var(--mark) } :target { background: var(--card) }
.cards, .grid { display: grid; gap: .8rem; margin: 1.2rem 0 0 }
.cards { grid-template-columns: repeat(auto-fit, minmax(7rem, 1fr)) }
.grid { grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)) }
.cards div, figure { background: var(--card); border: 1px solid var(--line); border-radius: 8px;
  padding: .7rem .9rem; margin: 0; min-width: 0 }
.cards b { display: block; font-size: 1.2rem; overflow-wrap: anywhere }
.warn { margin-top: 1rem; border-left: 4px solid var(--known); padding-left: .8rem }
svg { display: block; width: 100%; height: auto; margin-top: .5rem }
svg rect { fill: var(--mark) } svg .axis { stroke: var(--line) }
svg .middle { stroke: var(--ink); stroke-dasharray: 3 3 }
svg text { fill: var(--soft); font: 11px system-ui, sans-serif }
"""


def document(title: str, body: str) -> str:
    """Return an HTML page that needs no other file, light or dark as its reader likes it.

    Args:
        title: of the page, as text.
        body: what it shows, as HTML.

    Example:
        >>> "<title>A &amp; B</title>" in document("A & B", "<p>Hello</p>")
        True
    """
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head>"
        f"<body>{body}</body></html>\n"
    )


def html_page(survey: Survey) -> str:
    """Return one HTML file that needs no other: no script, no picture, no font from elsewhere.

    Args:
        survey: what it shows.

    Example:
        >>> import vecbridge
        >>> from vecbridge.report import survey
        >>> store = vecbridge.get_backend("sklearn")
        >>> store.create_index("points", dimension=1).upsert(["a"], [[1.0]])
        >>> html_page(survey(store, "points", write=False)).startswith("<!doctype html>")
        True
    """
    title = f"{survey.index} in {survey.backend}"
    return document(title, f"<h1>{escape(title)}</h1>" + "".join(_sections(survey)))


def _sections(survey: Survey) -> Iterator[str]:
    yield _looked_at(survey)
    yield _cards(survey)
    yield from _advice(survey)
    near = survey.neighborhoods
    yield '<h2>Vectors</h2><div class="grid">'
    if survey.norms is not None:
        yield histogram(survey.norms, "Lengths of vectors", _said_of_norms(survey, survey.norms))
    if near is not None:
        yield histogram(near.nearest, "Distance to the nearest other")
        yield histogram(near.kth, f"Distance to neighbour {near.k}")
        yield histogram(
            near.occurrences,
            f"Hubness: how often a record is among the {near.k} nearest of another",
            f"{near.orphans:,} are near no other; skewness {near.skewness:.2f}",
        )
    yield "</div>"
    if near is not None:
        yield from _lists(near)
    yield from _answers(survey)
    yield "<h2>What the index can do</h2>"
    rows = [
        (name.replace("_", " "), worded(name, value)) for name, value in survey.capabilities.items()
    ]
    yield _table(("", ""), rows)


def worded(name: str, value: object) -> str:
    """Return a capability as a person reads it.

    Args:
        name: of the attribute of :class:`vecbridge.Capabilities`.
        value: of it.
    """
    if isinstance(value, frozenset):
        return ", ".join(sorted(map(str, value))) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "no limit" if name.startswith("max_") else "-"
    return f"{value:,}"


def _looked_at(survey: Survey) -> str:
    if survey.whole:
        seen = f"Every one of its {survey.records:,} records was looked at"
    else:
        first = "" if survey.scanned >= survey.records else "the first "
        seen = (
            f"{survey.sampled:,} of its {survey.records:,} records were looked at, drawn from "
            f"{first}{survey.scanned:,} with seed {survey.seed}; neighbours are those among them, "
            "so that the index is denser than this page shows"
        )
    return f'<p class="soft">{seen}.</p>'


def _cards(survey: Survey) -> str:
    near, asked = survey.neighborhoods, survey.recall
    shown: list[tuple[str, str]] = [
        ("records", f"{survey.records:,}"),
        ("dimensions", f"{survey.dimension:,}"),
        ("metric", survey.metric),
        ("of vectors", _bytes(4 * survey.records * survey.dimension)),
    ]
    if near is not None:
        shown.append(("with an identical twin", f"{near.identical:,}"))
    if near is not None and near.near is not None:
        shown.append(("near duplicates", f"{near.near:,}"))
    if asked is not None:
        shown.append((f"recall of the {asked.k} nearest", f"{100 * asked.share.mean:.4g} %"))
        shown.append(("a query takes", f"{1000 * asked.seconds.median:.3g} ms"))
    cells = "".join(f"<div><b>{escape(value)}</b>{escape(name)}</div>" for name, value in shown)
    return f'<div class="cards">{cells}</div>'


def _advice(survey: Survey) -> Iterator[str]:
    near, asked = survey.neighborhoods, survey.recall
    if survey.zeros:
        yield _warning(
            f"Vectors of nothing but zeros: {survey.zeros:,}. Nothing was embedded there."
        )
    if near is not None and near.skewness > _HUBS:
        yield _warning(
            "A few records crowd the answers (skewness above 2). Look at them below: blank or "
            "broken data often does this."
        )
    if asked is not None and not asked.certified and asked.share.mean < 1:
        yield _warning(
            f"{asked.queries - asked.complete} of {asked.queries} answers lacked a nearer record: "
            "the index is approximate. Search with ranking='certified' where that matters."
        )


def _said_of_norms(survey: Survey, lengths: Distribution) -> str:
    if survey.metric == "cosine":
        return "Cosine distance does not look at them"
    least, *_, most = lengths.quantiles
    return "All are of length 1" if abs(least - 1) < 1e-5 and abs(most - 1) < 1e-5 else ""


def _lists(near: Neighborhoods) -> Iterator[str]:
    if near.twins:
        yield "<h2>Near duplicates</h2>"
        yield '<p class="soft">The nearest pairs, of those within 5 % of the median distance of a '
        yield "nearest other; a record is listed once.</p>"
        pairs = [(pair.first, pair.second, f"{pair.distance:.4g}") for pair in near.twins]
        yield _table(("record", "its nearest", "distance"), pairs, numbers=1)
    yield "<h2>Hubs</h2>"
    hubs = [(name, f"{count:,}") for name, count in near.hubs]
    yield _table(("record", f"among the {near.k} nearest of"), hubs, numbers=1)


def _answers(survey: Survey) -> Iterator[str]:
    yield "<h2>Answers</h2>"
    if survey.recall is None:
        yield '<p class="soft">No search was measured: there was nothing to ask, or the exact '
        yield "answer would have read more records than were to be scanned.</p>"
    else:
        yield f"<p>{_said_of(survey.recall)}</p>"
    if survey.lags:
        yield "<h2>How late a read sees a write</h2>"
        rows = [
            (level, "not within 15 s" if lag is None else f"{lag:.1f} ms")
            for level, lag in survey.lags.items()
        ]
        yield _table(("level", "seen after"), rows, numbers=1)


def _said_of(asked: Recall) -> str:
    slow = 1000 * asked.seconds.quantiles[-1]
    took = (
        f"A query took {1000 * asked.seconds.median:.3g} ms (the slowest call {slow:.3g} ms a "
        "query), twenty at once."
    )
    if asked.certified == asked.queries:
        return f"All {asked.queries} answers came with a proof that they are exact. {took}"
    worst = 100 * asked.share.quantiles[0]
    return (
        f"{asked.queries} queries: on average {100 * asked.share.mean:.4g} % of the {asked.k} "
        f"nearest were found, in the worst answer {worst:.4g} %; {asked.complete} lacked none. "
        f"{took}"
    )


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], numbers: int = 0) -> str:
    """Return a table whose last columns are numbers."""
    first = len(heads) - numbers

    def row(tag: str, cells: Sequence[str]) -> str:
        classes = ["" if at < first else ' class="number"' for at in range(len(cells))]
        parts = zip(classes, cells, strict=True)
        return "".join(f"<{tag}{name}>{escape(cell)}</{tag}>" for name, cell in parts)

    head = f"<thead><tr>{row('th', heads)}</tr></thead>" if any(heads) else ""
    body = "".join(f"<tr>{row('td', cells)}</tr>" for cells in rows)
    return f'<div class="scroll"><table>{head}<tbody>{body}</tbody></table></div>'


def _warning(text: str) -> str:
    return f'<p class="warn">{escape(text)}</p>'


def _bytes(count: int) -> str:
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count / 1e3:.3g} kB"
