"""Docstrings are written for ``help()``; this turns their marks into those of the documentation."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|attr|func|data|exc|mod):`~?([^`]+)`")
_EXAMPLE = re.compile(r"^Example:$", re.MULTILINE)
_SESSION = re.compile(r"^>>> .*(?:\n.+)*", re.MULTILINE)
_TABLE = re.compile(r"^=+ +=.*(?:\n.+)*", re.MULTILINE)
_DIRECTIVE = re.compile(r"^\.\. code-block:: \w+\n\n", re.MULTILINE)
_LITERAL = re.compile(r"::$", re.MULTILINE)


class Docstrings(griffe.Extension):
    """Roles become links, examples and tables blocks of code."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrite one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = rewritten(obj.docstring.value)


def rewritten(text: str) -> str:
    """Return a docstring as Markdown with Google's sections."""
    text = _ROLE.sub(_link, text)
    text = _EXAMPLE.sub("Examples:", text)
    text = _SESSION.sub(r"```pycon\n\g<0>\n```", text)
    text = _TABLE.sub(r"```text\n\g<0>\n```", text)
    text = _DIRECTIVE.sub("", text)
    return _LITERAL.sub(":", text)


def _link(role: re.Match[str]) -> str:
    """Return a link where the target is public, and plain code where it is not."""
    target = role[1]
    is_ours = target.startswith("vecbridge.") and not re.search(r"\._", target)
    return f"[`{target.removeprefix('vecbridge.')}`][{target}]" if is_ours else f"`{target}`"
