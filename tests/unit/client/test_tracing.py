"""A program that traces sees each operation as a span, with sizes, and nothing of the user's."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from vecbridge import Index, InvalidIdError, field, get_backend

SECRET = "an id that stays private"
WITHOUT_TRACING = """
import sys
import vecbridge
index = vecbridge.get_backend("sklearn").create_index("photos", dimension=1)
index.upsert(["a"], [[1.0]])
print(any(name.startswith("opentelemetry") for name in sys.modules))
"""


@pytest.fixture
def exporter(monkeypatch: pytest.MonkeyPatch) -> InMemorySpanExporter:
    """Where the spans of a program that traces arrive."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(trace, "get_tracer", provider.get_tracer)
    return exporter


@pytest.fixture
def index(exporter: InMemorySpanExporter) -> Iterator[Index]:
    with get_backend("sklearn") as store:
        index = store.create_index("photos", dimension=2, fields={"label": "string"})
        index.upsert(["a", "b", SECRET], np.eye(3, 2), {"label": ["x", "y", SECRET]})
        yield index


def spans(exporter: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    """The spans of that name which no other is around, in the order in which they ended."""
    return [
        span for span in exporter.get_finished_spans() if span.name == name and span.parent is None
    ]


def attributes(exporter: InMemorySpanExporter, name: str) -> dict[str, Any]:
    (span,) = spans(exporter, name)
    return dict(span.attributes or {})


def test_a_search_tells_what_was_asked_and_how_much_came(
    index: Index, exporter: InMemorySpanExporter
) -> None:
    index.search(np.eye(2), k=2, within=["a", "b"], where=field("label") == "x")
    assert attributes(exporter, "search photos") == {
        "db.system.name": "sklearn",
        "db.collection.name": "photos",
        "db.operation.name": "search",
        "db.response.returned_rows": 2,
        "vecbridge.dimension": 2,
        "vecbridge.metric": "cosine",
        "vecbridge.k": 2,
        "vecbridge.queries": 2,
        "vecbridge.within": 2,
        "vecbridge.filtered": True,
        "vecbridge.certified": True,
    }


def test_a_write_tells_its_size_and_the_store_what_it_made(
    index: Index, exporter: InMemorySpanExporter
) -> None:
    assert attributes(exporter, "upsert photos")["db.operation.batch.size"] == 3
    assert attributes(exporter, "create_index")["vecbridge.dimension"] == 2
    index.count()
    assert attributes(exporter, "count photos")["vecbridge.count"] == 3


def test_what_the_engine_is_asked_for_is_inside(
    index: Index, exporter: InMemorySpanExporter
) -> None:
    index.search([1.0, 0.0], k=1)
    (outer,) = spans(exporter, "search photos")
    assert outer.context is not None
    inner = [
        span.name
        for span in exporter.get_finished_spans()
        if span.parent is not None and span.parent.span_id == outer.context.span_id
    ]
    assert "candidates photos" in inner


def test_a_scan_lasts_until_its_last_batch(index: Index, exporter: InMemorySpanExporter) -> None:
    batches = index.scan(batch_size=2)
    next(batches)
    assert spans(exporter, "scan photos") == []
    list(batches)
    assert attributes(exporter, "scan photos")["db.response.returned_rows"] == 3


def test_neighbours_are_counted_one_by_one(index: Index, exporter: InMemorySpanExporter) -> None:
    assert len(dict(index.neighbors(1))) == 3
    assert attributes(exporter, "neighbors photos")["db.response.returned_rows"] == 3


def test_an_error_is_told_by_its_kind_only(index: Index, exporter: InMemorySpanExporter) -> None:
    with pytest.raises(InvalidIdError, match="NUL"):
        index.fetch([f"{SECRET}\0"])
    (span,) = spans(exporter, "fetch photos")
    assert span.status.status_code is trace.StatusCode.ERROR
    assert (span.attributes or {})["error.type"] == "vecbridge.InvalidIdError"
    assert not span.events


def test_no_id_vector_or_value_is_in_a_span(index: Index, exporter: InMemorySpanExporter) -> None:
    index.search([0.123456, 1.0], k=3, where=field("label") == SECRET)
    index.fetch([SECRET])
    index.contains([SECRET])
    index.delete([SECRET])
    told = "".join(span.to_json() for span in exporter.get_finished_spans())
    assert "delete photos" in told
    assert SECRET not in told
    assert "0.123456" not in told


def test_a_wrong_call_says_what_python_says(index: Index, exporter: InMemorySpanExporter) -> None:
    wrong: Any = index
    with pytest.raises(TypeError, match="nonsense"):
        wrong.search([1.0, 0.0], nonsense=1)
    assert attributes(exporter, "search photos")["error.type"] == "builtins.TypeError"


def test_a_program_that_does_not_trace_loads_nothing_for_it() -> None:
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TRACING], check=True, capture_output=True, text=True
    )
    assert done.stdout.strip() == "False"
