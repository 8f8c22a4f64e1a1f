"""The command line ``vecbridge``."""

from __future__ import annotations

import sys

__all__ = ["main"]

_EXTRA = "the command line needs packages that are not installed: pip install 'vecbridge[cli]'"


def main() -> None:
    """Run a command: the entry point of the console script."""
    try:
        import rich  # noqa: F401
        import typer  # noqa: F401
    except ModuleNotFoundError:
        sys.exit(_EXTRA)
    from vecbridge.cli._app import app
    from vecbridge.cli._console import run

    run(app)
