"""The look of every page that vecbridge writes."""

from __future__ import annotations

from html import escape

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
td.v { text-align: center; width: 7rem; cursor: default }
tr.family th { padding-top: 1.2rem; font-size: 1.1em }
.pass { color: var(--good) } .deviation { color: var(--known) }
.fail { color: var(--ground); background: var(--bad); font-weight: 700 }
.vacuous, .not-run { color: var(--soft) }
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
