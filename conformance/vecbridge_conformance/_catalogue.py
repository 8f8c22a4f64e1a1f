"""The tests of the suite: every case, and all of them as a class for an author's own pytest."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from vecbridge_conformance._clauses import Mark, mark_of
from vecbridge_conformance._deployment import Deployment
from vecbridge_conformance._harness import Harness

LAYERS = (
    "smoke",
    "semantics",
    "ranking",
    "properties",
    "stateful",
    "consistency",
    "faults",
    "concurrency",
    "scale",
)
"""The layers of the suite, in the order in which a backend's author climbs them."""


@dataclass(frozen=True)
class Case:
    """One test of the suite, with the values of its parameters.

    Attributes:
        name: the function's name, which no other has.
        layer: one of :data:`LAYERS`.
        mark: clauses and capabilities.
        function: the test; takes ``harness`` and the parameters.
        parameters: values by name.
        id: name and parameters, as pytest writes them.
    """

    name: str
    layer: str
    mark: Mark
    function: Callable[..., None]
    parameters: dict[str, Any] = field(default_factory=dict)
    id: str = ""

    def run(self, harness: Harness) -> None:
        """Run the test, and give its indexes back; raises what it raises."""
        try:
            self.function(harness=harness, **self.parameters)
        finally:
            harness.end_test()


def layer_of(module: str) -> str:
    """Return the layer of a module of the suite, by its name."""
    words = module.rpartition(".")[2].split("_")
    if len(words) < 3 or words[0] != "test" or words[1] not in LAYERS:
        raise LookupError(f"{module} is not named test_<layer>_*.py; layers: {', '.join(LAYERS)}")
    return words[1]


def suite_modules() -> list[str]:
    """Return full names of the suite's modules, layer by layer."""
    package = importlib.import_module(f"{__package__}.suite")
    names = [
        f"{package.__name__}.{module.name}"
        for module in pkgutil.iter_modules(package.__path__)
        if module.name.startswith("test_")
    ]
    return sorted(names, key=lambda name: (LAYERS.index(layer_of(name)), name))


def functions() -> dict[str, Callable[..., None]]:
    """Return every test function by its name.

    Raises:
        LookupError: two modules have a test of the same name.
    """
    found: dict[str, Callable[..., None]] = {}
    for module_name in suite_modules():
        module = importlib.import_module(module_name)
        for name, value in vars(module).items():
            if not name.startswith("test_") or not inspect.isfunction(value):
                continue
            if value.__module__ != module_name:
                continue
            if name in found:
                raise LookupError(f"{name} is in {module_name} and in {found[name].__module__}")
            found[name] = value
    return found


def cases(*layers: str) -> list[Case]:
    """Return every test with every combination of its parameters, in the order of the layers."""
    wanted = layers or LAYERS
    return [
        case
        for function in functions().values()
        if layer_of(function.__module__) in wanted
        for case in _expanded(function)
    ]


def conformance_suite(deployment: Deployment, *layers: str) -> type:
    """Return a class with every test of the suite, to be derived from in a test module.

    Args:
        deployment: what is under test.
        layers: only these layers; all by default.

    Returns:
        A class whose tests cannot be left out one by one: what a store does not keep goes into
        its ledger of deviations.

    Raises:
        LookupError: there is no such layer.

    Example:
        A whole test module::

            from vecbridge_conformance import Deployment, conformance_suite, pytest_plugins

            class TestMyStore(conformance_suite(Deployment("mystore"))): ...
    """
    if unknown := sorted(set(layers) - set(LAYERS)):
        raise LookupError(f"no layer {', '.join(unknown)}; layers: {', '.join(LAYERS)}")
    wanted = layers or LAYERS
    members: dict[str, Any] = {
        name: staticmethod(function)
        for name, function in functions().items()
        if layer_of(function.__module__) in wanted
    }
    return type("ConformanceSuite", (_Suite,), {**members, "deployment": deployment})


class _Suite:
    """Refuse what would hide a test."""

    deployment: Deployment

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        hidden = [
            name
            for name in vars(cls)
            if name.startswith("test_") and any(name in vars(base) for base in cls.__mro__[1:])
        ]
        if hidden:
            raise TypeError(
                f"{cls.__name__} overrides {', '.join(hidden)}; tests of the suite cannot be "
                f"overridden. Write what the store does not keep into its deviations.toml"
            )


def _expanded(function: Callable[..., None]) -> Iterator[Case]:
    sets = [list(_values(mark)) for mark in getattr(function, "pytestmark", [])]
    module = function.__module__
    for chosen in product(*sets):
        parameters = {name: value for part, _ in chosen for name, value in part.items()}
        label = "-".join(text for _, text in reversed(chosen))
        yield Case(
            function.__name__,
            layer_of(module),
            mark_of(function),
            function,
            parameters,
            f"{function.__name__}[{label}]" if label else function.__name__,
        )


def _values(mark: Any) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield the values that one ``parametrize`` mark gives, and how pytest calls each."""
    if mark.name != "parametrize":
        yield {}, ""
        return
    names, rows = mark.args[0], mark.args[1]
    words = [word.strip() for word in names.split(",")] if isinstance(names, str) else list(names)
    for row in rows:
        values = (row,) if len(words) == 1 else tuple(row)
        yield dict(zip(words, values, strict=True)), "-".join(map(str, values))
