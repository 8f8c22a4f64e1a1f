"""Tests of clients: coroutines among other people's tests are run, each in a loop of its own."""

from __future__ import annotations

import asyncio
import inspect

import pytest

_MARKS = ("asyncio", "benchmark", "vcr")
"""What their files mark tests with, for plugins that are not installed."""


def pytest_configure(config: pytest.Config) -> None:
    for mark in _MARKS:
        config.addinivalue_line("markers", f"{mark}: other people's")


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test that is a coroutine function, without a plugin for one folder."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    wanted = pyfuncitem._fixtureinfo.argnames
    arguments = {name: pyfuncitem.funcargs[name] for name in wanted}
    asyncio.run(asyncio.wait_for(pyfuncitem.obj(**arguments), 60))
    return True
