"""The folder by which FiftyOne finds the plugin, placed and removed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

from vecbridge import ConfigurationError

NAME = "@vecbridge/indexes"

_FOLDER = "vecbridge"
_FILES = {
    "fiftyone.yml": f"""\
name: "{NAME}"
type: plugin
description: Which store each similarity index lives in, and its health
version: 1.0.0
fiftyone:
  version: "*"
operators:
  - copy_index
  - switch_store
  - verify_indexes
  - examine_store
panels:
  - similarity_indexes
""",
    "__init__.py": '''\
"""Written by `vecbridge fiftyone enable`, removed by `vecbridge fiftyone disable`."""

from vecbridge.fiftyone.plugin import register

__all__ = ["register"]
''',
}


def place_plugin() -> Path:
    """Make the plugin known to FiftyOne. Calling this again changes nothing.

    Returns:
        The folder.

    Raises:
        ConfigurationError: something that is not vecbridge's is in the way, or it cannot be
            written.
    """
    folder = _folder()
    _refuse_foreign(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in _FILES.items():
            (folder / name).write_text(content, encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"cannot write {folder}: {error.strerror}") from error
    return folder


def remove_plugin() -> Path:
    """Undo :func:`place_plugin`; files of others in the folder stay.

    Returns:
        The folder.

    Raises:
        ConfigurationError: it cannot be removed.
    """
    folder = _folder()
    if not _is_ours(folder):
        return folder
    try:
        for name in _FILES:
            (folder / name).unlink(missing_ok=True)
        shutil.rmtree(folder / "__pycache__", ignore_errors=True)
        if not any(folder.iterdir()):
            folder.rmdir()
    except OSError as error:
        raise ConfigurationError(f"cannot remove {folder}: {error.strerror}") from error
    return folder


def plugin_status() -> dict[str, object]:
    """Return ``folder``, and whether the plugin is ``enabled`` there."""
    folder = _folder()
    return {"folder": str(folder), "enabled": _is_ours(folder)}


def _folder() -> Path:
    return _plugins_directory() / _FOLDER


def _plugins_directory() -> Path:
    """Return where FiftyOne looks for plugins.

    FiftyOne is not imported to ask, since that would start its database.
    """
    given = os.environ.get("FIFTYONE_PLUGINS_DIR") or _configured("plugins_dir")
    if given:
        return Path(given).expanduser().absolute()
    datasets = os.environ.get("FIFTYONE_DEFAULT_DATASET_DIR") or _configured("default_dataset_dir")
    home = Path(datasets).expanduser().absolute() if datasets else Path.home() / "fiftyone"
    return home / "__plugins__"


def _configured(name: str) -> str | None:
    path = Path(os.environ.get("FIFTYONE_CONFIG_PATH") or Path.home() / ".fiftyone" / "config.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read FiftyOne's configuration {path}: {error}") from error
    found = content.get(name) if isinstance(content, dict) else None
    return found if isinstance(found, str) else None


def _is_ours(folder: Path) -> bool:
    try:
        return NAME in (folder / "fiftyone.yml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _refuse_foreign(folder: Path) -> None:
    if folder.is_symlink() or (folder.exists() and not _is_ours(folder)):
        if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
            return
        raise ConfigurationError(
            f"{folder} is there already and is not vecbridge's: rename it, or set "
            f"FIFTYONE_PLUGINS_DIR to another directory"
        )
