"""Commands that other parts of vecbridge bring: the suite, FiftyOne, the demo."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from importlib.util import find_spec

import typer

from vecbridge._errors import MissingDependencyError

_PASSED_ON = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}
_PARTS = {
    "conformance": ("vecbridge_conformance", "conformance", "Prove that a store conforms."),
    "fiftyone": ("vecbridge.fiftyone", "fiftyone", "Switch FiftyOne to vecbridge, and back."),
    "demo": ("vecbridge.demo", "fiftyone", "Do the main job on real images, on three stores."),
}
"""Each command's module, the extra that it needs, and what it says of itself."""
_NEEDED = {"conformance": "hypothesis", "fiftyone": "fiftyone"}
"""The package by which an extra is known to be installed."""


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    for name, (module, extra, help_text) in _PARTS.items():
        app.command(name, help=help_text, context_settings=_PASSED_ON, add_help_option=False)(
            _runner(module, extra)
        )


def _runner(module: str, extra: str) -> Callable[[typer.Context], None]:
    def run(context: typer.Context) -> None:
        # A process of its own: these programs read arguments, set variables and exit as they like.
        if find_spec(_NEEDED[extra]) is None:
            raise MissingDependencyError(
                f"this needs the package {_NEEDED[extra]!r}, which is not installed: "
                f"pip install 'vecbridge[{extra}]'",
                name=_NEEDED[extra],
            )
        command = [sys.executable, "-m", module, *context.args]
        done = subprocess.run(command, check=False)  # noqa: S603 - our own program
        raise typer.Exit(done.returncode)

    return run
