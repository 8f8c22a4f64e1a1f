"""The public surface is a decision: nothing joins or leaves it unnoticed."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any

import pytest

from tests.meta.public_names import PUBLIC, WITH_DATABASE
from tests.meta.source import exported, is_public, modules, tree

EVERY_NAME = [(module, name) for module, names in PUBLIC.items() for name in names]
DOCUMENTED_VALUES = {
    target.id
    for _, path in modules()
    for statement, following in zip(tree(path).body, tree(path).body[1:], strict=False)
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    for target in getattr(statement, "targets", [getattr(statement, "target", None)])
    if isinstance(target, ast.Name)
}


def test_the_public_modules_and_their_names_are_the_ones_written_here() -> None:
    found = {name: sorted(exported(path)) for name, path in modules() if is_public(name)}

    written = {name: sorted(names) for name, names in {**PUBLIC, **WITH_DATABASE}.items()}
    assert found == written


@pytest.mark.parametrize(("module", "name"), EVERY_NAME)
def test_every_exported_name_is_there_and_documented(module: str, name: str) -> None:
    value: Any = getattr(importlib.import_module(module), name)

    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)
    else:
        assert name in DOCUMENTED_VALUES


@pytest.mark.parametrize(("module", "name"), EVERY_NAME)
def test_every_public_method_is_documented(module: str, name: str) -> None:
    value: Any = getattr(importlib.import_module(module), name)
    members = vars(value).items() if inspect.isclass(value) else ()

    silent = [
        member
        for member, held in members
        if not member.startswith("_")
        and (inspect.isroutine(held) or isinstance(held, property))
        and not inspect.getdoc(getattr(value, member))
    ]
    assert silent == []
