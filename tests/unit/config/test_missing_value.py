"""A setting that has no default and that nobody gives."""

from __future__ import annotations

import pytest

import vecbridge
from tests.unit.config.conftest import PROBE, Install


def test_it_is_named(install: Install) -> None:
    install(source=PROBE.replace("uri: str | None = None", "uri: str"))
    with pytest.raises(vecbridge.ConfigurationError, match="backend 'probe': setting 'uri'") as no:
        vecbridge.get_backend("probe")
    assert "keyword argument, FIFTYONE_BRAIN_SIMILARITY_PROBE_URI" in str(no.value)
    with pytest.raises(vecbridge.ConfigurationError, match="setting 'uri'"):
        vecbridge.get_backend("probe", uri=None)
    assert vecbridge.get_backend("probe", uri="u").name == "probe"
