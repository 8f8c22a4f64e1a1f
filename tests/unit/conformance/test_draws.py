"""What hypothesis draws for the suite is the same under development and installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

SCRIPT = """
import hashlib
import sys

sys.path.insert(0, sys.argv[1])
if sys.argv[2] == "author":
    import authors_module
    from hypothesis import given, settings, strategies
    # The author's own tests have run before, and hypothesis remembers what it found.
    given(strategies.text())(settings(max_examples=50, database=None)(lambda text: None))()
from vecbridge_conformance import Deployment, Harness
from vecbridge_conformance.properties import for_all, ids, queries, records
from hypothesis import strategies as st

drawn = hashlib.sha256()

def body(**values):
    drawn.update(repr(sorted(values.items())).encode())

with Harness(Deployment("sklearn")) as harness:
    for _ in range(3):
        for_all(harness, body, one=records(), asked=queries(), name=ids(), number=st.integers(),
                other=st.floats(), text=st.text())
print(drawn.hexdigest())
"""


def digest(folder: Path, who: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), who],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_constants_of_modules_under_development_are_not_drawn(tmp_path: Path) -> None:
    lines = [f"NUMBER_{at} = {at * 7919 + 1234567}" for at in range(200)]
    lines += [f"TEXT_{at} = 'an odd text {at}'" for at in range(200)]
    lines += [f"FLOAT_{at} = {at}.1234567" for at in range(200)]
    (tmp_path / "authors_module.py").write_text("\n".join(lines))
    assert digest(tmp_path, "author") == digest(tmp_path, "user")
