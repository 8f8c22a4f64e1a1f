"""The panel *Similarity indexes* of the FiftyOne App, and its operators.

``vecbridge fiftyone enable`` puts a small folder where FiftyOne looks for plugins. Its code only
calls :func:`register`.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from vecbridge import ConfigurationError

__all__ = ["place_plugin", "plugin_status", "register", "remove_plugin"]

_NAME = "@vecbridge/indexes"

_FOLDER = "vecbridge"
_FILES = {
    "fiftyone.yml": f"""\
name: "{_NAME}"
type: plugin
description: The store and the health of each similarity index
version: 1.0.0
fiftyone:
  version: "*"
operators:
  - create_index
  - sync_index
  - copy_index
  - switch_store
  - verify_indexes
  - examine_store
  - drop_index
panels:
  - similarity_indexes
""",
    "__init__.py": '''\
"""Written by `vecbridge fiftyone enable`, removed by `vecbridge fiftyone disable`."""

from vecbridge.fiftyone.plugin import register

__all__ = ["register"]
''',
}


def register(plugin: Any) -> None:
    """Register the panel and its operators; FiftyOne calls this.

    Args:
        plugin: FiftyOne's context of the plugin.
    """
    # FiftyOne's operators are imported only where its App wants them.
    from vecbridge.fiftyone.plugin._operators import OPERATORS
    from vecbridge.fiftyone.plugin._panel import SimilarityIndexesPanel

    for kind in (SimilarityIndexesPanel, *OPERATORS):
        plugin.register(kind)


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
    """Return the folder of the plugin, where FiftyOne looks for plugins.

    FiftyOne is not imported to ask, since that would start its database.
    """
    given = os.environ.get("FIFTYONE_PLUGINS_DIR") or _configured("plugins_dir")
    datasets = os.environ.get("FIFTYONE_DEFAULT_DATASET_DIR") or _configured("default_dataset_dir")
    default = Path(datasets or Path.home() / "fiftyone") / "__plugins__"
    return Path(given or default).expanduser().absolute() / _FOLDER


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
        return _NAME in (folder / "fiftyone.yml").read_text(encoding="utf-8")
    except (OSError, ValueError):
        return False


def _refuse_foreign(folder: Path) -> None:
    linked = folder.is_symlink()
    empty = folder.is_dir() and not linked and not any(folder.iterdir())
    if linked or (folder.exists() and not _is_ours(folder) and not empty):
        raise ConfigurationError(
            f"{folder} is there already and is not vecbridge's: rename it, or set "
            f"FIFTYONE_PLUGINS_DIR to another directory"
        )
