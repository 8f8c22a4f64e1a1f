"""Give each clause of the contract an anchor and a link to itself: a hook of MkDocs.

The page is shipped with the conformance suite and read as it stands, so the anchors are not in it:
``contract.md#rank-3`` leads to RANK-3 in the site.
"""

from __future__ import annotations

import re
from typing import Any

from mkdocs.structure.pages import Page

_CLAUSE = re.compile(r"^\*\*([A-Z]+-\d+)\.\*\*", re.MULTILINE)
_CITED = re.compile(r"(?<![\w\[#*-])([A-Z]{3,8}-\d+)(?![\w\]-])")


def on_page_markdown(markdown: str, *, page: Page, **_: Any) -> str:
    """Return the contract with anchors, and with links where one clause cites another."""
    if page.file.src_uri != "contract.md":
        return markdown
    known = {name: f"[{name}](#{name.lower()})" for name in _CLAUSE.findall(markdown)}
    linked = _CITED.sub(lambda cited: known.get(cited[1], cited[1]), markdown)
    return _CLAUSE.sub(_anchored, linked)


def _anchored(clause: re.Match[str]) -> str:
    name = clause[1]
    return f'<a id="{name.lower()}"></a>**[{name}](#{name.lower()}).**'
