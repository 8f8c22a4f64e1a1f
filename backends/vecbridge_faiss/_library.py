"""FAISS, whose annotations are those of C++ and not of its Python wrappers."""

from __future__ import annotations

from typing import Any

import faiss as _faiss

faiss: Any = _faiss
