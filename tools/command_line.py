"""Write ``docs/reference/command-line.md`` from the commands themselves."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "command-line.md"
_INTRODUCTION = """\
# The command line

`pip install 'vecbridge[cli]'` installs the command `vecbridge`. Every command has `--help`, and
`--json` for programs, except that `demo` has no JSON and `conformance` writes its reports as JSON
files. Without that extra, `vecbridge fiftyone` and `vecbridge conformance` still work, with the
extra of their name, and every other command tells you what to install.

| exit code | meaning |
|---|---|
| 0 | success |
| 1 | the answer is no: a check failed, two indexes differ, there is no such index |
| 2 | the command line or the configuration is invalid |
| 3 | the store cannot be reached, or failed |
| 70 | a bug; please report it |
| 130 | interrupted by Ctrl-C |
| 141 | the program that reads the output, such as `head`, has ended before it |

With `--json`, the answer goes to the standard output as JSON, even if the answer is no (a check
failed, two indexes differ). If there is no answer, nothing is written there, and the last line of
the error stream is JSON, with the same exit code:

```json
{"error": {"type": "IndexNotFoundError", "message": "there is no index named ...", "exit_code": 1}}
```

`type` is one of [the errors](errors.md), `UsageError` for a wrong command line (`hint` is then the
command that helps), or Python's name of an error of the operating system. Errors of a store also
have `backend`, `operation` and `retryable`: whether the same command may succeed later.

`vecbridge --install-completion` lets the shell (bash, zsh, fish) complete commands and options,
backends, the settings of `-o` and some of their values, metrics and rankings, and the indexes and
fields that earlier commands have seen. Completion never connects to a store, so a server that is
down delays nothing. The names are kept in `$XDG_CACHE_HOME/vecbridge` (`~/.cache/vecbridge`), which
you can remove at any time. Completion works in new shells.

`--where` takes [a filter as text](filter-language.md), in single quotes for the shell:
`vecbridge count milvus photos --where 'label == "cat" and score > 0.5'`. In tables, fields show
times in ISO 8601, lists as JSON, and nothing where a value is missing; in JSON, a missing value is
`null`.

`delete` and `drop` ask before they remove anything. Without a terminal, and with `--json`, they
need `--yes`; any answer other than yes ends them with exit code 1.

Settings of a backend are given as `-o KEY=VALUE` (`--option`), or come from the environment and
`brain_config.json`, as elsewhere ([Switch a store](../how-to/switch-a-store.md)), which
`vecbridge config set` writes. `copy` and `verify`, which have two stores, take `-o` for both, `-f`
for FROM only and `-t` for TO only. Passwords and tokens belong in the environment: other users of
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
