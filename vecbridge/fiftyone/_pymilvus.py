"""pymilvus's own default connection, for scripts that continue with its functions."""

from __future__ import annotations

import sys
import warnings
from typing import Any

_ALIAS = "default"
_CREDENTIALS = ("user", "password", "token", "client_key_path", "ca_pem_path", "server_pem_path")


def connect_default(settings: Any) -> None:
    """Connect pymilvus's default alias to the server of an index, unless it is connected already.

    FiftyOne's adapter does it on a server that needs no settings, and its documentation
    continues with ``pymilvus.utility``. Here it is done wherever the server asks for no
    credentials: those are for the index alone.

    Args:
        settings: of the Milvus backend.
    """
    if not settings.uri.startswith(("http://", "tcp:")):
        return
    if settings.secure or any(getattr(settings, name) is not None for name in _CREDENTIALS):
        return
    # The backend has imported pymilvus, whose old interface is gone from 3.1 on.
    connections = getattr(sys.modules.get("pymilvus"), "connections", None)
    if connections is None:
        return
    with warnings.catch_warnings():
        # pymilvus warns the script that uses this interface; connecting for it should not warn too.
        warnings.simplefilter("ignore")
        if not connections.has_connection(_ALIAS):
            connections.connect(_ALIAS, uri=settings.uri, db_name=settings.db_name or "")
