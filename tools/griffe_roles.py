"""Turns the roles of docstrings, ``:class:`vecbridge.Hits```, into links of the documentation."""

from __future__ import annotations

import re
from typing import Any

import griffe

_ROLE = re.compile(r":(?:class|meth|attr|func|data|exc|mod):`~?([^`]+)`")


class Roles(griffe.Extension):
    """A role becomes a link where its target is public, and plain code where it is not."""

    def on_object(self, *, obj: griffe.Object, **_: Any) -> None:
        """Rewrites one docstring."""
        if obj.docstring is not None:
            obj.docstring.value = _ROLE.sub(_link, obj.docstring.value)


def _link(role: re.Match[str]) -> str:
    target = role[1]
    is_ours = target.startswith("vecbridge.") and not re.search(r"\._", target)
    return f"[`{target.removeprefix('vecbridge.')}`][{target}]" if is_ours else f"`{target}`"
