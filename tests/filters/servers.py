"""Reads expressions as servers of Milvus do that cannot be run here, with the faults they have.

Han characters become numbers of 16 bits before the text is parsed (2.4 to 3.0); ranges that an
``or`` joins lose a bound (2.6, 3.0: milvus#52852); ``in`` or ``!=`` of one value fails (#48261);
beside a partition key, an ``or`` finds only that partition (2.3 to 2.5: #42903); and a search takes
48 levels (measured on 2.3.5, protobuf's limit of 100 messages).
"""

from __future__ import annotations

import re
from typing import Any, NamedTuple

from tests.filters.making import COUNT, columns, ids

MOST_LEVELS = 48
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "f": "\f", "\\": "\\", '"': '"', "'": "'"}
# Of the script Han, as Go's tables have it.
_HAN = [
    *((0x2E80, 0x2E99), (0x2E9B, 0x2EF3), (0x2F00, 0x2FD5), (0x3005, 0x3005), (0x3007, 0x3007)),
    *((0x3021, 0x3029), (0x3038, 0x303B), (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFA6D)),
    *((0xFA70, 0xFAD9), (0x16FE2, 0x16FE3), (0x16FF0, 0x16FF1), (0x20000, 0x2A6DF)),
    *((0x2A700, 0x2B739), (0x2B740, 0x2B81D), (0x2B820, 0x2CEA1), (0x2CEB0, 0x2EBE0)),
    *((0x2F800, 0x2FA1D), (0x30000, 0x3134A), (0x31350, 0x323AF)),
]
_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:[^"\\]|\\.)*")|(?P<number>-?[0-9][0-9.]*(?:e[+-]?[0-9]+)?)
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>[<>=!]=|[<>()\[\],]))""",
    re.VERBOSE | re.DOTALL,
)
_TYPES: dict[str, type] = {
    "pk": str,
    "t": str,
    "i": int,
    "f": float,
    "b": bool,
    "vecbridge_norm": float,
}
_EVERYTHING = (1 << COUNT) - 1

_KNOWN = re.compile(r"""(?:[^\\]|\\[ntrf\\"'])*""", re.DOTALL)
_WIDE = re.compile("[\u2e80-\U000323af]")

Tree = tuple[Any, ...]


class ServerError(Exception):
    """The server would not answer."""


class _Range(NamedTuple):
    name: str
    low: Any
    low_in: bool
    high: Any
    high_in: bool


def served(expression: str, partitioned_by: str = "t") -> int:
    """The records that a server finds, as a mask; of a collection that has a partition key.

    Raises:
        ServerError: it cannot read the expression.
    """
    tree = parsed(expression)
    mask = _found(_rewritten(tree))
    keys = _partitions(tree, partitioned_by)
    if keys is not None:
        mask &= _mask(partitioned_by, lambda value: value in keys)
    return mask


def parsed(expression: str) -> Tree:
    """The expression as a tree."""
    tokens = _tokens(_in_ascii(expression))
    tree, end = _either(tokens, 0)
    if end != len(tokens):
        raise ServerError(f"more after the end: {tokens[end : end + 3]}")
    if _levels(tree) > MOST_LEVELS:
        raise ServerError("too deep")
    return tree


def _in_ascii(expression: str) -> str:
    """What the proxy does before it parses; an escape that it does not know keeps it from it."""
    if not _KNOWN.fullmatch(expression):
        return expression
    return _WIDE.sub(lambda found: _sixteen_bits(found[0]), expression)


def _sixteen_bits(character: str) -> str:
    number = ord(character)
    han = any(low <= number <= high for low, high in _HAN)
    return f"\\u{number & 0xFFFF:04x}" if han else character


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, place = [], 0
    while place < len(expression):
        match = _TOKEN.match(expression, place)
        if match is None or match.lastgroup is None:
            raise ServerError(f"cannot read {expression[place : place + 20]!r}")
        found.append((match.lastgroup, match[match.lastgroup]))
        place = match.end()
    return found


def _either(tokens: list[tuple[str, str]], at: int) -> tuple[Tree, int]:
    left, at = _both(tokens, at)
    while tokens[at : at + 1] == [("word", "or")]:
        right, at = _both(tokens, at + 1)
        left = ("or", left, right)
    return left, at


def _both(tokens: list[tuple[str, str]], at: int) -> tuple[Tree, int]:
    left, at = _one(tokens, at)
    while tokens[at : at + 1] == [("word", "and")]:
        right, at = _one(tokens, at + 1)
        left = ("and", left, right)
    return left, at


def _one(tokens: list[tuple[str, str]], at: int) -> tuple[Tree, int]:
    kind, text = tokens[at]
    if (kind, text) == ("word", "not"):
        part, at = _one(tokens, at + 1)
        return ("not", part), at
    if text == "(" and kind == "sign":
        part, at = _either(tokens, at + 1)
        if tokens[at] != ("sign", ")"):
            raise ServerError("a bracket is not closed")
        return part, at + 1
    if kind != "word" or text not in _TYPES:
        raise ServerError(f"no field: {text}")
    word = tokens[at + 1][1]
    if word != "in":
        return ("compare", text, word, _literal(text, tokens[at + 2])), at + 3
    values, at = [], at + 3
    while tokens[at] != ("sign", "]"):
        if tokens[at] != ("sign", ","):
            values.append(_literal(text, tokens[at]))
        at += 1
    return ("in", text, values), at + 1


def _literal(name: str, token: tuple[str, str]) -> Any:
    kind, text = token
    if kind == "text":
        value: Any = _unquoted(text[1:-1])
    elif kind == "number":
        value = int(text) if re.fullmatch("-?[0-9]+", text) else float(text)
        if isinstance(value, int) and abs(value) >= 2**63:
            raise ServerError(f"no integer of 64 bits, without its sign: {text}")
    elif text in {"true", "false"}:
        value = text == "true"
    else:
        raise ServerError(f"no literal: {text}")
    if type(value) is not _TYPES[name]:
        raise ServerError(f"{name} is compared with {value!r:.40}")
    return value


def _unquoted(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        escape = match[1]
        if escape[0] in "uU":
            return chr(int(escape[1:], 16))
        if escape not in _ESCAPES:
            raise ServerError(f"no escape: {escape}")
        return _ESCAPES[escape]

    return re.sub(r"\\(u[0-9A-Fa-f]{4}|U[0-9A-Fa-f]{8}|.)", character, text, flags=re.DOTALL)


def _levels(tree: Tree) -> int:
    parts = [part for part in tree[1:] if isinstance(part, tuple)]
    return 1 + max(map(_levels, parts), default=0)


def _rewritten(tree: Tree) -> Tree:
    """The tree as the rewriter leaves it: what an ``or`` joins is joined two by two."""
    if tree[0] not in {"and", "or", "not"}:
        return tree
    parts = [_rewritten(part) for part in tree[1:]]
    if tree[0] != "or":
        return (tree[0], *parts)
    for first, second in (parts, parts[::-1]):
        unequal = first[0] == "in" and second[:3] == ("compare", first[1], "!=")
        if unequal and second[3] in first[2]:
            raise ServerError("assertion failed: in or !=")
    left, right = map(_range, parts)
    if left is None or right is None or left.name != right.name or not _overlap(left, right):
        return ("or", *parts)
    # Of two bounds at one value, the first one's is taken, which may leave the value out.
    low, low_in = (right.low, right.low_in) if right.low < left.low else (left.low, left.low_in)
    high, high_in = max((left.high, left.high_in), (right.high, right.high_in))
    return (
        "and",
        ("compare", left.name, ">=" if low_in else ">", low),
        ("compare", left.name, "<=" if high_in else "<", high),
    )


def _range(tree: Tree) -> _Range | None:
    """The two-sided range that a tree is, of one field."""
    if tree[0] != "and" or {part[0] for part in tree[1:]} != {"compare"}:
        return None
    (_, name, first, low), (_, other, second, high) = tree[1:]
    if name != other or first not in {">", ">="} or second not in {"<", "<="}:
        return None
    return _Range(name, low, first == ">=", high, second == "<=")


def _overlap(left: _Range, right: _Range) -> bool:
    return bool(max(left.low, right.low) < min(left.high, right.high))


def _partitions(tree: Tree, key: str) -> set[Any] | None:
    """The values of the key whose partitions are searched; ``None`` for all partitions."""
    if tree[0] == "compare" and tree[1:3] == (key, "=="):
        return {tree[3]}
    if tree[0] == "in" and tree[1] == key:
        return set(tree[2])
    if tree[0] not in {"and", "or"}:
        return None
    left, right = (_partitions(part, key) for part in tree[1:])
    if left is None or right is None:
        return right if left is None else left
    return left & right if tree[0] == "and" else left | right


def _found(tree: Tree) -> int:
    match tree:
        case ("and", left, right):
            return _found(left) & _found(right)
        case ("or", left, right):
            return _found(left) | _found(right)
        case ("not", part):
            return _EVERYTHING & ~_found(part)
        case ("in", name, values):
            wanted = set(values)
            return _mask(name, lambda value: value in wanted)
    _, name, word, operand = tree
    tests: dict[str, Any] = {
        "==": lambda value: value == operand,
        "!=": lambda value: value != operand,
        "<": lambda value: value < operand,
        "<=": lambda value: value <= operand,
        ">": lambda value: value > operand,
        ">=": lambda value: value >= operand,
    }
    return _mask(name, tests[word])


def _mask(name: str, accepts: Any) -> int:
    return sum(mask for value, mask in _VALUES[name].items() if accepts(value))


def _masks(values: list[Any]) -> dict[Any, int]:
    """The records that have each value."""
    masks: dict[Any, int] = {}
    for place, value in enumerate(values):
        masks[value] = masks.get(value, 0) | 1 << place
    return masks


_VALUES = {name: _masks(values) for name, values in {**columns(), "pk": ids()}.items()}
