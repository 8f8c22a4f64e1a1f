"""``vecbridge config``: what is configured, where it comes from, and how it is changed."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from getpass import getpass
from json import dumps as to_json
from typing import Annotated

import typer

from vecbridge._config._brain_config import read_brain_config
from vecbridge._config._changing import set_settings, unset_settings
from vecbridge._config._names import listed, suggestion
from vecbridge._config._registry import backend_names, configured, describe_settings
from vecbridge._config._settings import NothingConfiguredError, ResolvedSetting
from vecbridge._errors import (
    ConfigurationError,
    InvalidArgumentError,
    MissingDependencyError,
    UnknownSettingError,
)
from vecbridge._redaction import quoted, redacted
from vecbridge.cli import _completion as completing
from vecbridge.cli._console import emit, errors, say, table, warn
from vecbridge.cli._failures import Exit, asked_for_json
from vecbridge.cli._options import AsJson, Backend, Named, Options, given_of, options_of

_MASK = "**********"
_STANDARD_INPUT = "-"

config = typer.Typer(
    help="Show, check and change the configuration.",
    no_args_is_help=True,
    add_completion=False,
)


@config.command()
def show(name: Backend = None, option: Options = None, json: AsJson = False) -> None:
    """Show every setting of a backend, its value and where it comes from; secrets are masked."""
    kind, resolved = configured(name, given_of(option))
    found = resolved.described()
    if json:
        emit([{**asdict(each), "source": str(each.source)} for each in found])
        return
    shown = resolved.backend if name else f"{kind.name}, the default backend"
    rows = [(each.name, "-" if each.value is None else each.value, each.source) for each in found]
    table(f"Settings of {shown}", ["setting", "value", "from"], rows)


@config.command()
def get(
    name: Named,
    key: Annotated[
        str,
        typer.Argument(
            metavar="SETTING",
            help="A setting of the backend.",
            show_default=False,
            autocompletion=completing.setting_names,
        ),
    ],
    option: Options = None,
    json: AsJson = False,
) -> None:
    """Print the effective value of one setting; a secret is masked.

    The exit code is 1 if it has no value.
    """
    found = _setting(name, key, option)
    if json:
        emit({**asdict(found), "source": str(found.source)})
    elif found.value is not None:
        say(_worded(found.value))
    raise typer.Exit(Exit.NO if found.value is None else Exit.OK)


@config.command("set")
def set_values(
    name: Named,
    pairs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="KEY=VALUE...",
            autocompletion=completing.settings,
            help="Settings, such as uri=vectors.db; KEY=- reads the value from the terminal or the "
            "standard input.",
            show_default=False,
        ),
    ] = None,
    default: Annotated[
        bool, typer.Option("--default", help="Also make this the default backend.")
    ] = False,
    allow_secret: Annotated[
        bool,
        typer.Option(
            "--allow-secret",
            help="Write secrets too, as plain text in a file that only its owner can read.",
        ),
    ] = False,
    json: AsJson = False,
) -> None:
    """Set settings of a backend in FiftyOne's brain_config.json.

    All of them are checked first, together with the rest of the configuration. The rest of the file
    is left as it is.
    """
    if not pairs and not default:
        raise InvalidArgumentError(
            f"give a setting, as in `vecbridge config set {name} uri=vectors.db`"
        )
    texts = {key: _read(key, text) for key, text in options_of(pairs).items()}
    done = set_settings(name, texts, allow_secrets=allow_secret, default=default)
    shown = {
        key: _MASK if key in done.secrets else redacted(value) for key, value in done.values.items()
    }
    if json:
        emit({"path": str(done.path), "set": shown, "overridden_by": done.overridden})
        return
    for key, value in shown.items():
        say(f"{name}: {key} = {_worded(value)}")
    if default:
        say(f"{name} is the default backend")
    say(f"written to {done.path}")
    for variable in done.overridden:
        warn(f"the environment variable {variable} is set, and wins over the file")


@config.command()
def unset(
    name: Named,
    keys: Annotated[
        list[str],
        typer.Argument(
            metavar="SETTING...",
            help="Settings.",
            show_default=False,
            autocompletion=completing.setting_names,
        ),
    ],
    json: AsJson = False,
) -> None:
    """Remove settings of a backend from FiftyOne's brain_config.json."""
    done = unset_settings(name, keys)
    if json:
        emit({"path": str(done.path), "unset": keys})
        return
    say(f"{name}: {listed(keys)} removed from {done.path}")


@config.command()
def path(json: AsJson = False) -> None:
    """Print where FiftyOne's brain_config.json is, or would be."""
    found = read_brain_config(os.environ).path
    if json:
        emit({"path": found, "exists": os.path.exists(found)})  # noqa: PTH110
    else:
        say(found)


@config.command()
def check(json: AsJson = False) -> None:
    """Check the settings of every backend, and report unknown keys and unusable values."""
    problems = {}
    for name in backend_names():
        try:
            describe_settings(name)
        except (MissingDependencyError, NothingConfiguredError):  # noqa: PERF203 - once per backend
            # What is not installed, or not used, is not configured wrongly.
            continue
        except ConfigurationError as error:
            problems[name] = str(error)
    if json:
        emit({"ok": not problems, "problems": problems})
    elif problems:
        table("Problems", ["backend", ""], problems.items())
    else:
        say("the configuration of every installed backend is valid")
    raise typer.Exit(Exit.USAGE if problems else Exit.OK)


def _setting(name: str, key: str, option: Sequence[str] | None) -> ResolvedSetting:
    _, resolved = configured(name, given_of(option))
    found = {each.name: each for each in resolved.described()}
    if key not in found:
        raise UnknownSettingError(
            f"backend {resolved.backend!r} has no setting {quoted(key)}{suggestion(key, found)}. "
            f"Known settings: {listed(list(found))}"
        )
    return found[key]


def _read(key: str, text: str) -> str:
    """Return a value that is not on the command line, where other users could read it."""
    if text != _STANDARD_INPUT:
        return text
    if sys.stdin.isatty() and not asked_for_json():
        errors().print(f"{key}: ", end="", highlight=False, markup=False)
        return getpass("")
    return sys.stdin.readline().rstrip("\r\n")


def _worded(value: object) -> str:
    """Return a value as a command line or the file would have it."""
    is_json = isinstance(value, bool | int | float | Mapping | list | tuple)
    return to_json(value, default=str, ensure_ascii=False) if is_json else str(value)
