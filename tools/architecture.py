"""Write the appendix of ``docs/explanation/architecture.md``: what the sources say."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from string import ascii_lowercase, ascii_uppercase

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "explanation" / "architecture.md"
PLACES = (
    "vecbridge",
    *(
        f"backends/vecbridge_{n}"
        for n in (
            "sklearn",
            "faiss",
            "torch",
            "lancedb",
            "milvus",
            "pgvector",
            "qdrant",
            "redis",
            "chroma",
        )
    ),
)
SUITE = "conformance/vecbridge_conformance"
_MARK = "<!-- Written by `python -m tools.architecture` from here on; change the sources. -->\n"
_MATRIX = """\

## Appendix: who imports whom

A row imports the columns with a dot, by the letters at its head. Every dot is left of the
diagonal: each part needs only those above it. The import contracts in `pyproject.toml`, which
`make lint` checks, say more of what must not be.

"""


@dataclass
class Part:
    """A package, or a module that stands alone at the top of one.

    Attributes:
        name: dotted.
        files: its modules, by dotted name.
        needs: names of the parts that it imports.
    """

    name: str
    files: dict[str, Path]
    needs: set[str] = field(default_factory=set)

    @property
    def summary(self) -> str:
        """Return the first line of its docstring."""
        return _summary(self.files[self.name])


def page(current: str) -> str:
    """Return the page as it should be: the prose as it stands, the appendix from the sources.

    Args:
        current: the page as it is.

    Raises:
        ValueError: it has no mark where the appendix begins.
    """
    prose, mark, _ = current.partition(_MARK)
    if not mark:
        raise ValueError(f"{PAGE} has no line {_MARK.strip()!r}, after which the appendix begins")
    parts = _in_order(_parts())
    lines = [prose + mark + _MATRIX + "\n".join(_matrix(parts))]
    lines += ["", "## Appendix: every module", ""]
    for part in parts:
        lines += [f"### `{part.name}`", "", part.summary, "", *_modules(part)]
    return "\n".join(lines).rstrip() + "\n"


def _parts() -> list[Part]:
    parts = [part for place in (*PLACES, SUITE) for part in _parts_of(ROOT / place)]
    names = [part.name for part in parts]
    for part in parts:
        for path in part.files.values():
            part.needs |= {_home(module, names) for module in _imported(path)} - {part.name, ""}
    return parts


def _parts_of(package: Path) -> Iterator[Part]:
    """Yield the core in its parts, any other package whole."""
    if package.name != "vecbridge":
        yield Part(package.name, _files(package, package.name))
        return
    for path in sorted(package.iterdir()):
        name = f"vecbridge.{path.stem}"
        if (path / "__init__.py").exists():
            yield Part(name, _files(path, name))
        elif path.suffix == ".py" and path.stem != "__init__":
            yield Part(name, {name: path})
    yield Part("vecbridge", {"vecbridge": package / "__init__.py"})


def _files(package: Path, name: str) -> dict[str, Path]:
    files = {}
    for path in sorted(package.rglob("*.py")):
        inner = path.relative_to(package).with_suffix("").parts
        files[".".join([name, *(part for part in inner if part != "__init__")])] = path
    return files


def _imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _home(module: str, names: list[str]) -> str:
    """Return the part that a dotted name belongs to, ``""`` for one of others."""
    inside = [name for name in names if f"{module}.".startswith(f"{name}.")]
    return max(inside, key=len, default="")


def _in_order(parts: list[Part]) -> list[Part]:
    """Return each after all that it imports, else by name."""
    ordered: list[Part] = []
    waiting = sorted(parts, key=lambda part: part.name)
    while waiting:
        placed = {part.name for part in ordered}
        ready = next((part for part in waiting if part.needs <= placed), None)
        if ready is None:
            knot = {part.name: sorted(part.needs - placed) for part in waiting}
            raise ValueError(f"these import each other in a circle: {knot}")
        ordered.append(ready)
        waiting.remove(ready)
    return ordered


def _matrix(parts: list[Part]) -> Iterator[str]:
    letters = (ascii_uppercase + ascii_lowercase)[: len(parts)]
    yield f"| | | {' | '.join(letters)} |"
    yield f"|---|---|{'---|' * len(letters)}"
    for letter, part in zip(letters, parts, strict=True):
        marks = (
            "·" if other is part else "●" if other.name in part.needs else "" for other in parts
        )
        yield f"| {letter} | `{part.name}` | {' | '.join(marks)} |"


def _modules(part: Part) -> Iterator[str]:
    inner = {name: path for name, path in part.files.items() if name != part.name}
    if inner:
        yield "| module | |"
        yield "|---|---|"
        for name, path in inner.items():
            yield f"| `{name.removeprefix(part.name + '.')}` | {_summary(path)} |"
        yield ""


def _summary(path: Path) -> str:
    text = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    return text.split("\n\n", maxsplit=1)[0].replace("\n", " ").replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
