"""The panel *Similarity indexes*, as a person uses it."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from playwright.sync_api import TimeoutError as NotInTimeError

from tests.browser.app import App

_PANEL = '[data-cy="panel-content-similarity_indexes"]'
_LOADED = 60_000
_DONE = 150_000
_PRESSED = 20_000


class IndexesPanel:
    """The panel, opened beside the grid.

    Args:
        page: of the browser, showing a dataset.
        app: the same page.
    """

    def __init__(self, page: Any, app: App) -> None:
        self._page, self._app = page, app
        self._panel = page.locator(_PANEL)
        self._form = page.get_by_role("dialog")
        page.locator('[data-cy="new-panel-btn"]').first.click()
        page.locator('[data-cy="new-panel-option-similarity_indexes"]').click()
        self._panel.locator("table").first.wait_for(timeout=_LOADED)

    def rows(self, table: int = 0) -> dict[str, list[str]]:
        """The cells of each row of a table, by brain key."""
        lines = self._panel.locator("table").nth(table).locator("tbody tr").all()
        cells = [[cell.inner_text() for cell in line.locator("td, th").all()] for line in lines]
        return {row[0]: row[1:] for row in cells}

    def text(self) -> str:
        """Everything that it says."""
        said: str = self._panel.inner_text()
        return said

    def refresh(self) -> None:
        """Looks again."""
        self._panel.get_by_role("button", name="Refresh").click()

    def await_row(self, key: str) -> None:
        """Waits until an index is shown."""
        self._row(key).wait_for(timeout=_LOADED)

    def do(self, key: str, action: str, choices: dict[int, str], place: str = "") -> None:
        """Chooses an action of an index, fills in its form and runs it.

        Args:
            key: of the index.
            action: as the menu names it.
            choices: what is chosen in the lists of the form, by their number.
            place: a path, where the form asks for one.
        """
        self._row(key).get_by_role("button").first.click()
        self._page.get_by_role("menuitem", name=action).click()
        for number, value in choices.items():
            self._form.locator("[role=combobox]").nth(number).click()
            self._page.get_by_role("option", name=value, exact=True).click()
        if place:
            self._form.locator("input:not([aria-hidden])").first.fill(place)
        word, _, _ = action.lower().partition(" ")
        self._app.picture(f"panel-{word}-asked")
        self._execute()

    def make(self, key: str, choices: dict[str, str], place: str) -> None:
        """Fills in the form of a new index and makes it.

        Args:
            key: brain key of its run.
            choices: what is chosen in the lists of the form, by their labels.
            place: a path.
        """
        self._panel.get_by_role("button", name="New index").click()
        self._form.get_by_text("Brain key", exact=False).first.wait_for(timeout=_LOADED)
        self._form.locator("input:not([aria-hidden])").first.fill(key)
        for label, value in choices.items():
            lists = self._form.locator("[role=combobox]")
            self._form.get_by_text(label).first.wait_for(timeout=_LOADED)
            for number in range(lists.count()):
                lists.nth(number).click()
                option = self._page.get_by_role("option", name=value, exact=True)
                if option.count():
                    option.click()
                    break
                self._page.keyboard.press("Escape")
        self._app.picture("panel-new-chosen")
        # After them come the path and, once a store is chosen, the switch for its settings.
        self._form.locator("input:not([aria-hidden]):not([type=checkbox])").last.fill(place)
        self._app.picture("panel-new-asked")
        self._execute()

    def await_told(self, title: str) -> str:
        """Waits until it tells what was done, and gives everything that it says."""
        # The smoke layer alone may take two minutes on a busy machine.
        self._panel.get_by_text(title).first.wait_for(timeout=_DONE)
        done = self._form.get_by_role("button", name="Done")
        if done.count():
            done.first.click()
        return self.text()

    def _execute(self) -> None:
        """Press the button until it is gone: a press is lost while the form is checked again."""
        button = self._form.get_by_role("button", name="Execute").first
        for _ in range(3):
            with suppress(NotInTimeError):
                button.click(timeout=5_000)
            with suppress(NotInTimeError):
                button.wait_for(state="hidden", timeout=_PRESSED)
                return
        raise AssertionError("the form stays as it is, however often it is executed")

    def light(self) -> None:
        """Shows everything in light colours."""
        self._page.locator('[title="Light mode"]').first.click()

    def _row(self, key: str) -> Any:
        rows = self._panel.locator("table").first.locator("tbody tr")
        return rows.filter(has=self._page.get_by_text(key, exact=True))
