"""Edits of a JSON text change what they mean to, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vecbridge._config._json_text import edited

KEYS = st.text('ab"\\}{,:é\n', max_size=2)
SCALARS = st.none() | st.booleans() | st.integers(-9, 9) | st.text('ab"\\}{,:é \n', max_size=4)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(KEYS, VALUES, max_size=4)


@settings(max_examples=500, deadline=None)
@given(
    OBJECTS,
    OBJECTS,
    st.sampled_from([None, 0, 2, 4, "\t"]),
    st.sampled_from([(",", ":"), (", ", ": "), (" , ", " : ")]),
    st.sampled_from(["\n", "\r\n"]),
    st.booleans(),
)
def test_any_text_takes_any_content(
    before: dict[str, Any],
    after: dict[str, Any],
    indent: int | str | None,
    signs: tuple[str, str],
    newline: str,
    escaped: bool,
) -> None:
    separators = signs if indent is None else None
    text = json.dumps(before, indent=indent, separators=separators, ensure_ascii=escaped)
    text = text.replace("\n", newline)
    assert json.loads(edited(text, after)) == after
    assert edited(text, before) == text


@pytest.mark.parametrize(
    ("text", "content", "expected"),
    [
        ("", {"a": {"b": 1}}, '{\n    "a": {\n        "b": 1\n    }\n}\n'),
        ("{}", {"a": 1}, '{\n    "a": 1\n}'),
        ('{"a":1}', {"a": 1, "b": 2}, '{"a":1, "b": 2}'),
        ('{"a": [1,2],\n "b" : 1}\n', {"a": [1, 2], "b": 2}, '{"a": [1,2],\n "b" : 2}\n'),
        (
            '{\n  "a": {},\n  "z": 0\n}\n',
            {"a": {"b": {"c": True}}, "z": 0},
            '{\n  "a": {\n    "b": {\n      "c": true\n    }\n  },\n  "z": 0\n}\n',
        ),
        (
            '{\r\n\t"a": 1,\r\n\t"b": 2\r\n}',
            {"a": 1, "c": {"d": None}},
            '{\r\n\t"a": 1,\r\n\t"c": {\r\n\t\t"d": null\r\n\t}\r\n}',
        ),
        ('{"a": 1, "b": 2, "c": 3}', {"b": 2}, '{"b": 2}'),
        ('{"a": 1, "a": 2}', {"a": 3}, '{"a": 1, "a": 3}'),
        ('{"a": 1, "a": 2}', {}, "{}"),
        ('{"a": true}', {"a": 1}, '{"a": 1}'),
    ],
)
def test_new_text_looks_like_the_old(text: str, content: dict[str, Any], expected: str) -> None:
    assert edited(text, content) == expected
