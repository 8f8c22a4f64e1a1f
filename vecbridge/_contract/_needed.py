"""Name what to install where a package is needed that is not a part of every installation."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from vecbridge._errors import MissingDependencyError

_INSTALLED_BY = {
    "dask": "pip install 'vecbridge[dask]'",
    "distributed": "pip install 'vecbridge[dask]'",
    "pandas": "pip install pandas",
    "pyarrow": "pip install 'vecbridge[parquet]'",
    "ray": "pip install 'vecbridge[ray]'",
}


@contextmanager
def needing(what: str, *packages: str) -> Iterator[None]:
    """Import a package, or what imports it, in the block.

    Args:
        what: what needs it, in the plural, for the message.
        packages: names of packages that may not be installed.

    Raises:
        MissingDependencyError: one of them is not.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in packages:
            raise
        raise MissingDependencyError(
            f"{what} need {name}, which is not installed: {_INSTALLED_BY[name]}", name=name
        ) from error
