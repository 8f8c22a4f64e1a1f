"""Fixtures of the whole suite: real servers, started when a test asks for one."""

from __future__ import annotations

pytest_plugins = ["tests.servers.fixtures"]
