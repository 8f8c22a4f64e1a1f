"""Links to sources in the documentation: they lead to the file, in a checkout and in the site.

A page links to a source by its path, as to any other file, and names what it means::

    [`Index.search`](../../vecbridge/_client/_index.py)

In a checkout that opens the file. The site has no sources, so this hook of MkDocs adds a page for
each file that is linked, and the link leads to the line where the name is defined.
"""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
_FOLDER = "source"
_LINK = re.compile(r"\[(?P<text>[^\]\n]*)\]\((?P<target>[^)\s:#]+\.(?:py|toml))\)")
_ANCHOR = re.compile(r'id="(__codelineno-[\d-]+)"')
_PAGE = """\
---
title: {path}
search:
  exclude: true
---

# `{path}`

~~~~~~~~~~ {language} linenums="1"
{text}
~~~~~~~~~~
"""


class SourceLink(NamedTuple):
    """A link from a page to a source.

    Attributes:
        path: the file.
        name: what the text of the link names in it, as code; empty where that is the file itself,
            or where the text is prose.
    """

    path: Path
    name: str


def source_links(page: Path) -> Iterator[SourceLink]:
    """Yield the links of a page to sources."""
    for match in _LINK.finditer(page.read_text(encoding="utf-8")):
        yield _parsed(match, page.parent)


def line_of(name: str, path: Path) -> int | None:
    """Return the line that defines a name; ``None`` where the file does not.

    Args:
        name: of a function, a class, a method (``Index.search``), a constant or an attribute; a
            table of a TOML file.
        path: the file.
    """
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".toml":
        lines = text.splitlines()
        return next((at for at, line in enumerate(lines, 1) if line.strip() == f"[{name}]"), None)
    body, line = ast.parse(text).body, None
    for part in name.split("."):
        found = next((node for node in body if part in _defined(node)), None)
        if found is None:
            return None
        line, body = found.lineno, getattr(found, "body", [])
    return line


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add a page for each source that a page links to."""
    linked = {
        link.path
        for file in files.documentation_pages()
        if file.abs_src_path is not None
        for link in source_links(Path(file.abs_src_path))
    }
    for path in sorted(linked):
        files.append(
            File.generated(
                config, _uri(path), content=_source(path), inclusion=InclusionLevel.NOT_IN_NAV
            )
        )
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Lead the links of a page to the pages of the sources."""
    if page.file.abs_src_path is None:
        return markdown
    folder = Path(page.file.abs_src_path).parent

    def led(match: re.Match[str]) -> str:
        link = _parsed(match, folder)
        target = os.path.relpath(Path(config.docs_dir) / _uri(link.path), folder)
        line = line_of(link.name, link.path) if link.name else None
        anchor = "" if line is None else f"#__codelineno-0-{line}"
        return f"[{match['text']}]({target}{anchor})"

    return _LINK.sub(led, markdown)


def on_page_content(html: str, page: Page, config: MkDocsConfig, files: Files) -> str:  # noqa: ARG001
    """Let MkDocs know of the lines that links may lead to: it sees no anchors inside of code."""
    if page.present_anchor_ids is not None and page.file.src_uri.startswith(f"{_FOLDER}/"):
        page.present_anchor_ids |= set(_ANCHOR.findall(html))
    return html


def _parsed(match: re.Match[str], folder: Path) -> SourceLink:
    path = Path(os.path.normpath(folder / match["target"]))
    code = re.fullmatch(r"`(.+)`", match["text"])
    module = path.parent if path.name == "__init__.py" else path.with_suffix("")
    whole = {path.as_posix(), module.as_posix(), module.as_posix().replace("/", ".")}
    if code is None or any(each.endswith(("/" + code[1], "." + code[1])) for each in whole):
        return SourceLink(path, "")
    return SourceLink(path, code[1])


def _uri(path: Path) -> str:
    return f"{_FOLDER}/{path.relative_to(ROOT).as_posix()}.md"


def _source(path: Path) -> str:
    language = {".py": "python"}.get(path.suffix, path.suffix[1:])
    text = path.read_text(encoding="utf-8").rstrip("\n")
    return _PAGE.format(path=path.relative_to(ROOT).as_posix(), language=language, text=text)


def _defined(node: ast.stmt) -> set[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return {name}
        case ast.Assign(targets=targets):
            return {target.id for target in targets if isinstance(target, ast.Name)}
        case ast.AnnAssign(target=ast.Name(id=name)):
            return {name}
    return set()
