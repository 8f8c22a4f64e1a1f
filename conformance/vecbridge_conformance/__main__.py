"""The command line: ``vecbridge-conformance run NAME``."""

from __future__ import annotations


def main() -> None:
    """Reads the command line and runs the suite."""
    raise SystemExit(2)


if __name__ == "__main__":
    main()
