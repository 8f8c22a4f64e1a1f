"""FAISS, whose annotations are those of C++ and not of its Python wrappers."""

from __future__ import annotations

import os
from typing import Any

import faiss as _faiss

faiss: Any = _faiss


def _after_fork() -> None:
    # GNU OpenMP would wait for ever for the threads that it had in the parent. One needs no others.
    faiss.omp_set_num_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
