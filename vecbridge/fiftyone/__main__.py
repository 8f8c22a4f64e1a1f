"""``python -m vecbridge.fiftyone enable | disable | status``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from vecbridge._errors import VecbridgeError
from vecbridge.fiftyone._persistent import disable_in_config, enable_in_config, status


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command.

    Returns:
        The exit status: 0, or 2 where something is refused.
    """
    given = _parser().parse_args(arguments)
    try:
        if given.command == "enable":
            said = f"enabled in {enable_in_config(given.backend, default=given.default)}"
        elif given.command == "disable":
            said = f"disabled in {disable_in_config()}"
        else:
            found = status()
            said = json.dumps(found, indent=2) if given.json else _told(found)
    except VecbridgeError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    sys.stdout.write(f"{said}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m vecbridge.fiftyone",
        description="FiftyOne's similarity backends, answered by vecbridge.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    enable = commands.add_parser("enable", help="write vecbridge into brain_config.json")
    enable.add_argument("--backend", help="only this backend (default: every installed one)")
    enable.add_argument(
        "--default", action="store_true", help="use it where no backend is named; needs --backend"
    )
    commands.add_parser("disable", help="take it out again")
    told = commands.add_parser("status", help="what a new process would use, and who says so")
    told.add_argument("--json", action="store_true", help="as JSON")
    return parser


def _told(found: dict[str, Any]) -> str:
    lines = [
        f"configuration  {found['config']}",
        f"default        {found['default']} ({found['default_source']})",
    ]
    for backend, about in found["backends"].items():
        lines += ["", backend]
        for name, each in about["names"].items():
            word = "enabled" if each["enabled"] else "not enabled"
            lines.append(f"  {name}: {word}, {each['config_cls']} ({each['source']})")
        for name, each in about["settings"].items():
            lines.append(f"    {name} = {each['value']} ({each['source']})")
        if "problem" in about:
            lines.append(f"    {about['problem']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
