"""``vecbridge fiftyone enable | disable | status | adopt``, or ``python -m vecbridge.fiftyone``."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from typing import Any, NoReturn

from vecbridge import ConfigurationError, VecbridgeError
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
from vecbridge.fiftyone.plugin import place_plugin, plugin_status, remove_plugin
from vecbridge.transfer import Progress


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
        elif given.command == "adopt":
            said = _adopted(given)
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
        description="FiftyOne's similarity backends, answered by vecbridge.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    enable = commands.add_parser("enable", help="use vecbridge in FiftyOne, and show its panel")
    enable.add_argument("--backend", help="only this backend (default: every installed one)")
    enable.add_argument(
        "--default", action="store_true", help="use it where no backend is named; needs --backend"
    )
    commands.add_parser("disable", help="remove it again")
    commands.add_parser("status", help="what a new process would use, and where that is configured")
    adopting = commands.add_parser("adopt", help="take over a run of FiftyOne's sklearn or Milvus")
    adopting.add_argument("dataset", help="the dataset's name")
    adopting.add_argument("brain_key", help="key of the run, which stays")
    adopting.add_argument("--to", metavar="BACKEND", help="default: the one of the same name")
    adopting.add_argument(
        "--option",
        "-o",
        metavar="KEY=VALUE",
        type=_setting,
        action="append",
        default=[],
        help="a setting of the store, such as uri=vectors.db; secrets belong in the environment",
    )
    adopting.add_argument("--back", action="store_true", help="make it FiftyOne's own again")
    adopting.add_argument("--dry-run", action="store_true", help="say what would be done")
    for command in commands.choices.values():
        command.add_argument("--json", action="store_true", help="as JSON, errors too")
    return parser


def _setting(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise argparse.ArgumentTypeError("a setting is KEY=VALUE")
    return key, value


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


def _adopted(given: argparse.Namespace) -> str:
    # The other commands do without FiftyOne, which takes seconds to import.
    from fiftyone.core.config import FiftyOneConfigError

    try:
        from vecbridge.fiftyone._adopt import adopt

        # JSON is for programs: nothing else may be on stdout.
        with _progress_bars(shown=not given.json) as progress:
            done = adopt(
                given.dataset,
                given.brain_key,
                given.to,
                back=given.back,
                dry_run=given.dry_run,
                progress=progress,
                **dict(given.option),
            )
    except FiftyOneConfigError as error:
        raise ConfigurationError(f"FiftyOne finds no database: {error}") from error
    if given.json:
        return json.dumps(asdict(done), indent=2)
    how = "in place" if done.in_place else "copied"
    state = "is now" if done.done else "would be"
    lines = [
        f"{done.brain_key}: {done.source} -> {done.target}, {how}",
        f"{done.records:,} records; the run {state} of {done.target}",
    ]
    if done.mended:
        lines.append(f"{done.mended:,} ids had several rows, and have one now")
    if done.left is not None and not done.in_place:
        lines.append(f"{done.left} stays where it is: drop it when you no longer need it")
    return "\n".join(lines)


@contextmanager
def _progress_bars(*, shown: bool) -> Iterator[Progress]:
    """Show FiftyOne's progress bar for each stage: how far, how fast, how long still."""
    import fiftyone.core.utils as fou

    bars: dict[str, Any] = {}
    with ExitStack() as stack:

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in bars:
                stack.close()
                sys.stdout.write(f"{stage}\n" if shown else "")
                bars[stage] = stack.enter_context(fou.ProgressBar(total=total, progress=shown))
            bars[stage].set_iteration(done)

        yield progress


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
