"""The suite as a class, for two lines of pytest in a backend author's own repository."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from vecbridge_conformance._catalogue import LAYERS, functions, layer_of
from vecbridge_conformance._deployment import Deployment

pytest_plugins = ("vecbridge_conformance.plugin",)
"""Imported into a test module, it switches the plugin on for that run of pytest."""


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
    """Refuses what would hide a test."""

    deployment: Deployment

    def __init_subclass__(cls, **keywords: Any) -> None:
        super().__init_subclass__(**keywords)
        hidden = [
            name
            for name in vars(cls)
            if name.startswith("test_") and _inherited(cls, name) is not None
        ]
        if hidden:
            raise TypeError(
                f"{cls.__name__} overrides {', '.join(hidden)}; tests of the suite cannot be "
                f"overridden. Write what the store does not keep into its deviations.toml"
            )


def _inherited(cls: type, name: str) -> Callable[..., Any] | None:
    return next((vars(base)[name] for base in cls.__mro__[1:] if name in vars(base)), None)
