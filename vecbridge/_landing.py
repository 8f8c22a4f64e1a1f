"""Write a file that appears whole or not at all, and replaces another only where it may."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vecbridge._errors import InvalidArgumentError

_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


@contextmanager
def landing(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a name beside ``path`` to write to, which becomes ``path`` when the block ends.

    Where the block raises, what was written is removed; where the process is killed, it is left
    under a name that ends in ``.partial``, and ``path`` is what it was.

    Args:
        path: the file.
        overwrite: whether it may be there already.

    Raises:
        InvalidArgumentError: there is no such folder, the name is that of a folder, or the file is
            there and must not be; nothing was written.
    """
    check_landing(path, overwrite=overwrite)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        _flush(partial)
        if overwrite:
            partial.replace(path)
        else:
            _put(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def check_landing(path: Path, *, overwrite: bool) -> None:
    """Refuse a name that a file cannot be written under, before anything is done for it.

    Raises:
        InvalidArgumentError: as of :func:`landing`.
    """
    if not path.parent.is_dir():
        raise InvalidArgumentError(f"there is no folder {str(path.parent)!r} for {path.name!r}")
    if path.is_dir():
        raise InvalidArgumentError(f"{str(path)!r} is a folder; give the name of a file")
    if not overwrite and os.path.lexists(path):
        raise _taken(path)


def _put(partial: Path, path: Path) -> None:
    """Give the file its name, which another may have taken meanwhile."""
    try:
        # Unlike a renaming, a link never replaces what is there.
        os.link(partial, path)
    except FileExistsError as error:
        raise _taken(path) from error
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        check_landing(path, overwrite=False)
        partial.rename(path)


def _flush(path: Path) -> None:
    """Bring what was written to the disk: after a power failure, a name without it looks whole."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _taken(path: Path) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{str(path)!r} is there already, and is left as it is: choose another name, or say that "
        f"it may be replaced (overwrite=True; --force for the command)"
    )
