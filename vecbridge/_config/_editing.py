"""Change FiftyOne's ``brain_config.json``: in one step, and only what is meant to change."""

from __future__ import annotations

import errno
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from vecbridge._config._brain_config import BACKENDS, read_brain_config
from vecbridge._config._json_text import edited
from vecbridge._errors import ConfigurationError

_BOM = b"\xef\xbb\xbf"
_PRIVATE = 0o600


class ConfigFile:
    """The file, while no other command of vecbridge changes it.

    Attributes:
        path: where it is, or would be.
        content: what it says, to be changed in place; empty where there is no file.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._before = path.read_bytes() if path.is_file() else b""
        text = self._before.removeprefix(_BOM).decode()
        self.content: dict[str, Any] = json.loads(text) if text.strip() else {}
        if not isinstance(self.content.get(BACKENDS), dict | None):
            raise ConfigurationError(
                f"{path}: {BACKENDS} must be an object with one entry per backend"
            )

    def save(self, *, private: bool = False) -> bool:
        """Write what changed; the rest of the file stays as it is written, byte by byte.

        Args:
            private: make the file readable for its owner alone.

        Returns:
            Whether anything changed.
        """
        bom = _BOM if self._before.startswith(_BOM) else b""
        text = edited(self._before.removeprefix(_BOM).decode(), self.content)
        changed = bom + text.encode()
        if changed != self._before:
            refuse_protected(self.path)
            replace_file(self.path, changed, private=private)
        return changed != self._before


@contextmanager
def config_file(environ: Mapping[str, str]) -> Iterator[ConfigFile]:
    """Yield the file where FiftyOne reads it, locked against other commands.

    Raises:
        ConfigurationError: the file cannot be read, is not what FiftyOne reads, or cannot be
            written.
    """
    found = read_brain_config(environ)
    for name, section in found.sections.items():
        if not isinstance(section, dict):
            raise ConfigurationError(
                f"{found.path} ({BACKENDS}.{name}) must be an object with one entry per setting"
            )
    path = Path(found.path)
    with writing_errors(path), ExitStack() as held:
        if path.resolve().parent.is_dir():
            held.enter_context(_locked(path.resolve().parent))
        yield ConfigFile(path)


def refuse_protected(path: Path) -> None:
    """Refuse to replace a file that may not be written: replacing it only needs its directory."""
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    if path.exists() and not path.is_file():
        # A pipe or a device never ends, and would be replaced by a file.
        raise ConfigurationError(f"cannot write {path}: it is no regular file")
    if path.exists() and not os.access(path, os.W_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def replace_file(path: Path, text: bytes, *, private: bool = False) -> None:
    """Replace the file in one step, so that a reader never sees half of it."""
    # Where the file is a link, what it leads to is replaced.
    path = path.resolve()
    _make_folder(path.parent)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if private:
            Path(name).chmod(_PRIVATE)
        elif path.exists():
            shutil.copymode(path, name)
        give_to_owner(Path(name), path if path.exists() else path.parent)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def give_to_owner(made: Path, like: Path) -> None:
    """Give a file the owner of the one it replaces, or of its folder: root may write for others."""
    owner = like.stat()
    if hasattr(os, "geteuid") and os.geteuid() == 0 != owner.st_uid:
        os.chown(made, owner.st_uid, owner.st_gid)


@contextmanager
def writing_errors(path: Path) -> Iterator[None]:
    """Say of errors of the operating system that the file cannot be written."""
    try:
        yield
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror or error}") from error


def _make_folder(path: Path) -> None:
    if not path.exists():
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
        give_to_owner(path, path.parent)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold a lock of the folder: the file itself is another one after each change."""
    try:
        import fcntl
    except ModuleNotFoundError:
        # On Windows, the last of two commands at once wins.
        yield
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
