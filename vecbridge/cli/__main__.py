"""``python -m vecbridge.cli``."""

from __future__ import annotations

from vecbridge.cli import main

if __name__ == "__main__":
    main()
