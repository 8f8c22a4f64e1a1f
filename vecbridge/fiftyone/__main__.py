"""``vecbridge fiftyone enable | disable | status | ...``, or ``python -m vecbridge.fiftyone``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from vecbridge import VecbridgeError
from vecbridge.cli._failures import (
    Exit,
    as_json,
    asked_for_json,
    code_of,
    failure,
    message_of,
    publishable,
    tell_bug,
)
from vecbridge.fiftyone._persistent import disable_in_config, enable_in_config, status
from vecbridge.fiftyone._run_commands import RUN_COMMANDS, add_run_commands
from vecbridge.fiftyone.plugin import place_plugin, plugin_status, remove_plugin


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command.

    Returns:
        The exit status, as of every command.
    """
    for_program = asked_for_json(arguments)
    given = _parser(_ForPrograms if for_program else _ForPeople).parse_args(arguments)
    try:
        if given.command == "enable":
            said = _changed(given, *_enable(given), "enabled in {}\npanel in the App: {}")
        elif given.command == "disable":
            config = disable_in_config()
            said = _changed(given, config, remove_plugin(), "disabled in {}\npanel removed: {}")
        elif given.command in RUN_COMMANDS:
            said = RUN_COMMANDS[given.command](given)
        else:
            found = {**status(), "panel": plugin_status()}
            said = json.dumps(found, indent=2) if given.json else _status_lines(found)
    except (VecbridgeError, OSError) as error:
        sys.stderr.write(f"{as_json(error) if for_program else message_of(error)}\n")
        return code_of(error)
    except Exception as error:  # noqa: BLE001 - scripts must not take a bug for a negative answer
        tell_bug(error, for_program=for_program)
        return Exit.BUG
    sys.stdout.write(f"{said}\n")
    return 0


class _ForPeople(argparse.ArgumentParser):
    """Quote nothing that may be a password."""

    def error(self, message: str) -> NoReturn:
        super().error(publishable(message, misused=True))


class _ForPrograms(argparse.ArgumentParser):
    """Report misuse in JSON."""

    def error(self, message: str) -> NoReturn:
        message = publishable(message, misused=True)
        said = failure("UsageError", message, Exit.USAGE, hint=f"{self.prog} --help")
        self.exit(Exit.USAGE, f"{said}\n")


def _parser(kind: type[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = kind(
        prog="vecbridge fiftyone",
        description="Use vecbridge for FiftyOne's similarity backends.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    enable = commands.add_parser("enable", help="use vecbridge in FiftyOne, and show its panel")
    enable.add_argument("--backend", help="only this backend (default: every installed one)")
    enable.add_argument(
        "--default", action="store_true", help="make it the default backend; needs --backend"
    )
    commands.add_parser("disable", help="undo enable")
    commands.add_parser("status", help="show what a new process uses, and where it is configured")
    add_run_commands(commands)
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="print JSON, including errors")
    return parser


def _enable(given: argparse.Namespace) -> tuple[object, object]:
    """Change the configuration and place the folder of the panel: both, or neither."""
    was_there = plugin_status()["enabled"]
    panel = place_plugin()
    try:
        return enable_in_config(given.backend, default=given.default), panel
    except BaseException:
        if not was_there:
            remove_plugin()
        raise


def _changed(given: argparse.Namespace, config: object, panel: object, said: str) -> str:
    if given.json:
        return json.dumps({"config": str(config), "panel": str(panel)}, indent=2)
    return said.format(config, panel)


def _status_lines(found: dict[str, Any]) -> str:
    panel = "enabled" if found["panel"]["enabled"] else "not enabled"
    lines = [
        f"configuration  {found['config']}",
        f"default        {found['default']} ({found['default_source']})",
        f"panel          {panel} ({found['panel']['folder']})",
    ]
    for backend, about in found["backends"].items():
        lines += ["", backend]
        for name, each in about["names"].items():
            word = "enabled" if each["enabled"] else "not enabled"
            answered = f", {each['config_cls']}" if each["config_cls"] else ""
            lines.append(f"  {name}: {word}{answered} ({each['source']})")
        for name, each in about["settings"].items():
            if each["source"] != "default":
                lines.append(f"    {name} = {each['value']} ({each['source']})")
        if "problem" in about:
            lines.append(f"    {about['problem']}")
    lines += ["", "settings that are not shown have their defaults; --json shows all of them"]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
