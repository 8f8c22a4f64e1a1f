"""What a benchmark was run on: the machine, the versions, and how busy it was."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = {
    "numpy": "numpy",
    "scikit-learn": "scikit-learn",
    "FAISS": "faiss-cpu",
    "torch": "torch",
    "pymilvus": "pymilvus",
    "Milvus server": "milvus",
    "psycopg": "psycopg",
    "qdrant-client": "qdrant-client",
    "LanceDB": "lancedb",
    "redis-py": "redis",
    "Chroma": "chromadb",
    "FiftyOne": "fiftyone",
    "fiftyone-brain": "fiftyone-brain",
    "langchain-milvus": "langchain-milvus",
    "vecbridge": "vecbridge",
}


def machine() -> dict[str, str]:
    """Processor, cores, memory and system, in words."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "memory": f"{memory:.0f} GB",
        "system": f"{platform.system()} {platform.machine()}",
    }


def versions() -> dict[str, str]:
    """Python, the BLAS that numpy calls, and the packages that are measured."""
    packages = {name: _version(package) for name, package in PACKAGES.items()}
    return {"Python": platform.python_version(), "BLAS": _blas(), **packages}


def load() -> float:
    """How many processes wanted a core in the last minute."""
    return round(os.getloadavg()[0], 2)


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or "unknown"


def _blas() -> str:
    import numpy as np
    from threadpoolctl import threadpool_info

    np.ones((2, 2)) @ np.ones((2, 2))
    found = [pool for pool in threadpool_info() if pool["user_api"] == "blas"]
    return ", ".join(
        f"{pool['internal_api']} {pool['version']} ({pool['num_threads']} threads)"
        for pool in found[:1]
    )
