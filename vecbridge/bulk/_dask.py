"""A Dask cluster as an executor. Importing this needs nothing; using it needs ``distributed``."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

from vecbridge._contract._needed import needing

_RETRIES = 3
"""So often the cluster does a partition again whose work failed."""


@contextmanager
def dask_executor(address: str) -> Iterator[Executor]:
    """Yield an executor on a Dask cluster for the duration of the block.

    A program that already has a client can pass ``client.get_executor(pure=False)`` instead.

    Args:
        address: address of the scheduler, as in ``tcp://10.0.0.1:8786``.

    Raises:
        MissingDependencyError: ``distributed`` is not installed.
        OSError: no scheduler answers at the address.
    """
    with needing("Dask clusters", "distributed", "dask"):
        from distributed import Client
    client_type: Any = Client
    with (
        client_type(address) as client,
        client.get_executor(pure=False, retries=_RETRIES) as executor,
    ):
        yield executor
