"""The FiftyOne App in a browser: its server, and the steps that a person takes."""

from __future__ import annotations

import re
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.servers.mongo import free_port

_READY_SECONDS = 90
_PANEL = '[data-cy="panel-content-similarity_search_panel"]'
_TILES = """() => [...document.querySelectorAll('[data-cy="looker"]')].map(tile => {
    const box = tile.getBoundingClientRect(), tag = tile.querySelector('[data-cy="tag-id"]');
    return {top: box.top, left: box.left, id: tag ? tag.textContent.trim() : null};
})"""
_LOADED = 30_000
BROWSER_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def serving_app(folder: Path, environment: Mapping[str, str]) -> Iterator[str]:
    """Runs the App's server, in a process of its own as a user's does, while the block lasts."""
    spec = find_spec("fiftyone")
    assert spec is not None
    assert spec.submodule_search_locations
    place = Path(spec.submodule_search_locations[0]) / "server"
    port = free_port()
    command = [sys.executable, "-W", "ignore", "main.py", "--port", str(port)]
    with (folder / "app-server.log").open("w") as log:
        process = subprocess.Popen(
            [*command, "--address", "127.0.0.1"],
            cwd=place,
            env=dict(environment),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            _await_ready(process, f"http://127.0.0.1:{port}", folder / "app-server.log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(timeout=30)


@dataclass(frozen=True)
class Search:
    """What is filled in in the panel Similarity Search."""

    key: str
    name: str
    k: int = 10
    least: bool = False
    dist_field: str | None = None
    text: str | None = None


class App:
    """A page of the App.

    Args:
        page: of the browser.
        url: of the server.
        pictures: where screenshots are kept.
    """

    def __init__(self, page: Any, url: str, pictures: Path) -> None:
        self._page, self._url, self._pictures = page, url, pictures
        # What FiftyOne says of its other products covers the grid, some time after it loads.
        dismiss = page.get_by_text("Dismiss", exact=True)
        page.add_locator_handler(dismiss, lambda button: button.first.click())

    def open(self, dataset: str) -> None:
        """Shows a dataset."""
        self._page.goto(f"{self._url}/datasets/{dataset}")
        self._page.wait_for_selector('[data-cy="looker"]', timeout=_LOADED)

    def show_ids(self) -> None:
        """Ticks the field ``id``, so that every tile tells which it is."""
        self._page.wait_for_selector('[data-cy="looker"]', timeout=_LOADED)
        # Tiles that are drawn again have no tags for a while: they do not tell if it is ticked.
        field = self._page.locator('[data-cy="checkbox-id"]').first
        if not field.locator("input").is_checked(timeout=_LOADED):
            field.click()
        self._page.wait_for_selector('[data-cy="tag-id"]', timeout=_LOADED)

    def order(self) -> list[str]:
        """The ids of the tiles, in reading order."""
        tiles = [tile for tile in self._page.evaluate(_TILES) if tile["id"] is not None]
        tiles.sort(key=lambda tile: (round(tile["top"]), tile["left"]))
        return [tile["id"] for tile in tiles]

    def await_order(self, expected: list[str], seconds: float = 60) -> None:
        """Waits until the first tiles are these, and the only ones where they are few."""
        deadline = time.monotonic() + seconds
        found: list[str] = []
        while found[: len(expected)] != expected and time.monotonic() < deadline:
            time.sleep(0.1)
            found = self.order()
        if found[: len(expected)] != expected:
            self.picture("unexpected")
        assert found[: len(expected)] == expected

    def picture(self, name: str) -> None:
        """Keeps a screenshot, once the images are there."""
        self._page.wait_for_timeout(500)
        self._page.screenshot(path=str(self._pictures / f"{name}.png"))

    def clear(self) -> None:
        """Shows the whole dataset again."""
        button = self._page.locator('[data-cy="btn-clear-view-bar"]')
        if button.count():
            button.first.click()
        selected = self._page.locator('[data-cy="action-manage-selected"]')
        if selected.count():
            self._page.keyboard.press("Escape")

    def select(self, name: str, *, negative: bool = False) -> None:
        """Ticks a tile; as an example of what is not wanted where ``negative``."""
        tag = self._page.locator('[data-cy="tag-id"]').get_by_text(name, exact=True)
        tile = self._page.locator('[data-cy="looker"]').filter(has=tag).first
        for _ in range(3):
            tile.hover()
            box = tile.locator('[data-cy="looker-checkbox-"]').first
            box.click(modifiers=["Alt"] if negative else [])
            with suppress(Exception):
                self._page.wait_for_selector('[data-cy="action-manage-selected"]', timeout=4000)
                return
        raise AssertionError(f"{name} could not be selected")

    def to_patches(self, field: str) -> None:
        """Shows the patches of a field."""
        self._page.locator('[data-cy="action-clips-patches"]').click()
        self._page.locator('[data-cy="popout"]').get_by_text(field).first.click()
        self._page.wait_for_selector('[data-cy="checkbox-sample_id"]', timeout=_LOADED)

    def similar(self) -> None:
        """The one click of the grid's icon: samples like those that are selected."""
        self._page.locator('[data-cy="action-sort-by-similarity"]').first.click()
        self._page.locator('[data-cy="popout"]').get_by_text("Show similar samples").click()
        self._page.locator(_PANEL).wait_for(timeout=_LOADED)

    def search(self, wanted: Search) -> None:
        """Fills in the panel Similarity Search, and runs the search."""
        self._open_panel()
        panel = self._page.locator(_PANEL)
        number = panel.locator("input[type=number]")
        fresh = panel.get_by_role("button", name="New Search")
        # Opened by the grid's icon, the panel shows the form at once.
        number.or_(fresh).first.wait_for(timeout=_LOADED)
        if not number.count():
            fresh.click()
        number.wait_for(timeout=_LOADED)
        panel.locator("input[role=combobox]").first.click()
        option = self._page.get_by_role("option", name=re.compile(rf"^{wanted.key}\b"))
        option.first.click()
        number.fill(str(wanted.k))
        if wanted.least:
            panel.locator("[role=switch]").first.click()
        if wanted.dist_field is not None:
            panel.locator('input[placeholder^="e.g., similarity_dist"]').fill(wanted.dist_field)
        if wanted.text is not None:
            panel.locator("textarea").first.fill(wanted.text)
        panel.locator('input[placeholder="My search"]').fill(wanted.name)
        self.picture(f"{wanted.name}-asked")
        panel.get_by_role("button", name="Search", exact=True).click()
        self._page.get_by_text("Run this operation synchronously").click()
        panel.get_by_text(wanted.name, exact=True).first.wait_for(timeout=_LOADED)

    def show_results(self) -> None:
        """Shows what the last search found."""
        button = self._page.locator(f'{_PANEL} [aria-label="Show results"]').first
        button.wait_for(timeout=_LOADED)
        # A message may cover it.
        button.evaluate("button => button.click()")

    def _open_panel(self) -> None:
        if not self._page.locator(_PANEL).count():
            self._page.locator('[data-cy="action-sort-by-similarity"]').first.click()
            popout = self._page.locator('[data-cy="popout"]')
            popout.locator('[data-testid="SettingsIcon"]').click()
            self._page.locator(_PANEL).wait_for(timeout=_LOADED)


def _await_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), urllib.request.urlopen(f"{url}/fiftyone", timeout=5):
            return
        time.sleep(0.2)
    raise RuntimeError(f"the App did not serve at {url}: {log.read_text()[-3000:]}")
