"""A collection that is dropped, and made again under its name, while the server is away."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.servers.milvus_wire import Wire
from vecbridge import Index, IndexNotFoundError, Store

AWAY = (503, "no available shard leader", True)
CALLS: dict[str, tuple[str, Callable[[Index], object]]] = {
    "upsert": ("Upsert", lambda index: index.upsert(["a"], [[1, 2]])),
    "delete": ("Delete", lambda index: index.delete(["a"])),
    "fetch": ("Query", lambda index: index.fetch(["a"])),
    "search": ("Search", lambda index: index.search([1, 2], 1)),
}


@pytest.mark.parametrize("call", CALLS)
def test_what_is_tried_again_reaches_no_other_collection(
    call: str, wire: Wire, opened: Callable[..., Store]
) -> None:
    method, act = CALLS[call]
    index = opened(retry_timeout=10).create_index(f"t_{uuid.uuid4().hex}", dimension=2)
    index.upsert(["a"], [[1, 2]])
    index.search([1, 2], 1, consistency="strong")

    def replaced(reply: Any) -> None:
        if any(name == method for name, _ in wire.calls):
            reply.collectionID += 1

    wire.clear()
    wire.edit("DescribeCollection", replaced)
    wire.fail(method, AWAY)
    with pytest.raises(IndexNotFoundError, match="another one made"):
        act(index)
    assert len(wire.requests(method)) == 1
