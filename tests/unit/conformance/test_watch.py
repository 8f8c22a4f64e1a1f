"""A store that never answers: the run ends, and says which call did not come back."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from vecbridge_conformance import Deployment, Hung, Session

PACKAGE = '''
"""A store whose client has no time limit."""

import socket
import threading

from vecbridge_conformance.mutants import ReferenceBackend, ReferenceIndex


class Waiting(ReferenceIndex):
    def HANGS(self, *arguments, **keywords):
        WAIT


class SilentBackend(ReferenceBackend):
    name = "silent"
    index_type = Waiting
'''
WAYS = {
    "a socket": "one, other = socket.socketpair(); one.recv(1)",
    "a thread": "hang = threading.Thread(target=threading.Event().wait); hang.start(); hang.join()",
}


def installed(folder: Path, hangs: str, way: str) -> None:
    package = folder / "vecbridge_silent"
    package.mkdir()
    text = PACKAGE.replace("HANGS", hangs).replace("WAIT", WAYS[way])
    (package / "__init__.py").write_text(text)
    registered = folder / "vecbridge_silent-1.0.dist-info"
    registered.mkdir()
    (registered / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: vecbridge-silent\nVersion: 1\n"
    )
    (registered / "entry_points.txt").write_text(
        "[vecbridge.backends]\nsilent = vecbridge_silent:SilentBackend\n"
    )


@pytest.mark.slow
@pytest.mark.parametrize(("hangs", "way"), [("search", "a socket"), ("candidates", "a thread")])
def test_a_run_against_a_store_that_hangs_ends_and_names_the_call(
    tmp_path: Path, hangs: str, way: str
) -> None:
    installed(tmp_path, hangs, way)
    command = [sys.executable, "-m", "vecbridge_conformance", "run", "silent", "--limit", "2"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--layer", "smoke,semantics", "--report", "reports"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert time.monotonic() - began < 100
    words = " ".join(done.stdout.split())
    assert "took more than 2 s" in words
    called = {"candidates": "search"}.get(hangs, hangs)
    assert f"index.{called} of index 'conformance_" in words
    report = json.loads((tmp_path / "reports" / "silent.json").read_text())
    assert report["partial"]
    reasons = [test["reason"] for test in report["tests"] if test["verdict"] == "broken"]
    # After three of them the others are not tried.
    assert sum(reason.startswith("Hung: ") for reason in reasons) == 3


def swallowing(session: Session) -> None:
    """Wait as a backend does that catches every Exception."""
    with session.watch.over("a test"), contextlib.suppress(Exception):
        threading.Event().wait(20)


@pytest.mark.timeout(0)
def test_a_block_that_waits_is_ended_however_often_it_goes_on_waiting() -> None:
    session = Session(Deployment("sklearn"), limit_s=0.2)
    with pytest.raises(Hung, match=r"^a test took more than 0.2 s: no call of an index is open"):
        swallowing(session)
    assert session.watch.hung == 1


def test_what_is_in_time_is_left_alone() -> None:
    limited, unlimited = (Session(Deployment("sklearn"), limit_s=limit) for limit in (0.2, 0))
    with limited.watch.over("a test"):
        pass
    with unlimited.watch.over("a test without a limit"):
        time.sleep(0.3)
    time.sleep(0.3)
    assert limited.watch.hung == unlimited.watch.hung == 0
