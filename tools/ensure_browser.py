"""Make sure that there is a Chromium for the tests of the FiftyOne App.

Playwright's own is taken where it is installed, or one of the system's. Where there is neither,
Debian's package is installed if this is root on such a system, and otherwise Playwright's.

    python tools/ensure_browser.py
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
_APT = ["apt-get", "-o", "DPkg::Lock::Timeout=120", "-y", "-q"]
_MINUTES = 10


def find_browser() -> Path | None:
    """Return a Chromium that is installed; ``None`` where there is none."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    if own.exists():
        return own
    found = next(filter(None, map(shutil.which, _NAMES)), None)
    return None if found is None else Path(found)


def install_browser() -> Path | None:
    """Install one, as this system allows."""
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    if os.geteuid() == 0 and shutil.which("apt-get"):
        packages = ["chromium", "fonts-dejavu-core"]
        _run([*_APT, "update"], environment)
        _run([*_APT, "install", "--no-install-recommends", *packages], environment)
    found = find_browser()
    if found is None:
        _run([sys.executable, "-m", "playwright", "install", "chromium"], environment)
        found = find_browser()
    return found


def _run(command: list[str], environment: dict[str, str]) -> None:
    print(f"running {' '.join(command)}", flush=True)
    try:
        subprocess.run(
            command,
            env=environment,
            stdout=subprocess.DEVNULL,
            timeout=60 * _MINUTES,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        print(error, file=sys.stderr)


def main() -> int:
    """Install a browser where one is needed, and print which there is."""
    found = find_browser() or install_browser()
    if found is None:
        print(
            "there is no Chromium, and none could be installed: install it, or run "
            "`python -m playwright install chromium`",
            file=sys.stderr,
        )
        return 1
    print(f"browser {found}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
