"""Write ``docs/reference/command-line.md`` from the commands themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
_INTRODUCTION = """\
# The command line

`pip install 'vecbridge[cli]'` brings `vecbridge`. Every command has `--help`, and `--json` for
programs; only `demo` is for people alone, and `conformance` writes its reports as JSON files.
Without that extra, `vecbridge fiftyone` and `vecbridge conformance` work all the same, with the
extra of their name, and any other command says what to install.

| exit code | meaning |
|---|---|
| 0 | done; what was asked for is so |
| 1 | the answer is no: a check failed, two indexes differ, there is no such index |
| 2 | the command or the configuration cannot be followed |
| 3 | the store cannot be reached, or failed |
| 70 | a bug; please report it |
| 130 | interrupted by Ctrl-C |
| 141 | the program that reads the output, such as `head`, has ended before it |

With `--json`, what is asked for goes to the standard output as JSON, an answer that is no among
it (a check that failed, indexes that differ). Where there is no answer, nothing goes there, and
the last line of the error stream is JSON, with the same exit code:

```json
{"error": {"type": "IndexNotFoundError", "message": "there is no index named ...", "exit_code": 1}}
```

`type` is one of [the errors](errors.md), `UsageError` where the words are wrong (`hint` is the
command that helps then), or what Python calls an error of the operating system. Errors of a store
also have `backend`, `operation` and `retryable`: whether the same command may succeed later.

`vecbridge --install-completion` lets the shell (bash, zsh, fish) complete commands and options,
backends, the settings of `-o` and what some of them may be, metrics and rankings; and indexes and
their fields, as far as earlier commands saw them: no store is asked, so that a server that is away
delays nothing. Their names are kept in `$XDG_CACHE_HOME/vecbridge` (`~/.cache/vecbridge`), which
may be removed at any time. It works in a new shell.

`--where` takes [a filter as text](filter-language.md), in single quotes for the shell:
`vecbridge count milvus photos --where 'label == "cat" and score > 0.5'`. In tables, fields show
times in ISO 8601, lists as JSON, and nothing where a value is missing; in JSON, a missing value is
`null`.

`delete` and `drop` ask before they remove anything. Where there is no terminal, and with `--json`,
they need `--yes`; another answer than yes ends them with exit code 1.

Settings of a backend are given as `-o KEY=VALUE` (`--option`), or come from the environment and
`brain_config.json` as everywhere ([Switch a store](../how-to/switch-a-store.md)), which
`vecbridge config set` writes. `copy` and `verify`, which have two stores, take `-o` for both, `-f`
for FROM alone and `-t` for TO alone. Passwords and tokens belong in the environment: other users of
a machine can read its command lines.

The rest of this page is written by `python -m tools.command_line`.

"""


def page() -> str:
    """Return the page as it should be."""
    command = [sys.executable, "-m", "typer", "vecbridge.cli._app", "utils", "docs"]
    written = subprocess.run(
        [*command, "--name", "vecbridge"], check=True, capture_output=True, text=True
    ).stdout
    _, _, commands = written.partition("## `vecbridge backends`")
    return f"{_INTRODUCTION}## `vecbridge backends`{commands.rstrip()}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
