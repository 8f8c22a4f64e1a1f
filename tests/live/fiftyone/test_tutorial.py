"""The tutorial of FiftyOne, and README's block, as they are written, each in a process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.meta.source import ROOT
from tests.meta.test_documentation import BLOCK, FIFTYONE

README = ROOT / "README.md"

# FiftyOne's log goes to the standard output that there was before.
RUNNER = """
import contextlib, io, json, sys
scope, printed = {}, []
for code in json.load(sys.stdin):
    with contextlib.redirect_stdout(io.StringIO()) as output:
        exec(code, scope)
    printed.append(output.getvalue())
print(json.dumps(printed))
"""


@pytest.mark.parametrize("page", [FIFTYONE, README], ids=lambda page: page.stem)
def test_every_block_prints_what_the_page_shows(
    page: Path, fiftyone_env: dict[str, str], tmp_path: Path
) -> None:
    text = page.read_text(encoding="utf-8")
    blocks = BLOCK.findall(text.partition("## In FiftyOne")[2] if page == README else text)
    code = [text for language, text in blocks if language == "python"]
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUNNER],
        input=json.dumps(code),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    printed = json.loads(done.stdout.splitlines()[-1])
    assert [text for text in printed if text] == [
        text for language, text in blocks if language == "text"
    ]
