"""Run a function in another process, which knows nothing but its arguments."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

_TIMEOUT_S = 120.0
_CHILD = "from vecbridge_conformance._process import child; child()"


class OtherProcess:
    """A function that runs in a fresh Python process.

    Args:
        function: a module-level function.
        arguments: what it is called with; they are pickled.
    """

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="vecbridge-", ignore_cleanup_errors=True)
        self._answer = Path(self._folder.name) / "answer"
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
        self._process = subprocess.Popen(  # noqa: S603  (our own interpreter)
            [sys.executable, "-c", _CHILD],
            stdin=subprocess.PIPE,
            env=environment,
        )
        assert self._process.stdin is not None  # noqa: S101  (a pipe was asked for)
        with self._process.stdin as channel:
            channel.write(pickle.dumps((str(self._answer), function, arguments)))

    @property
    def pid(self) -> int:
        """Return the process's id."""
        return self._process.pid

    def result(self, timeout: float = _TIMEOUT_S) -> Any:
        """Return what the function returned; what it raised is raised here.

        Raises:
            TimeoutError: it did not end in time; it is ended then.
            RuntimeError: the process died without an answer.
        """
        try:
            code = self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise TimeoutError(f"process {self.pid} did not end within {timeout} s") from None
        with self._folder:
            if not self._answer.exists():
                raise RuntimeError(f"process {self.pid} ended with code {code} and gave no answer")
            returned, value = pickle.loads(self._answer.read_bytes())  # noqa: S301  (our child's)
        if returned:
            return value
        raise value

    def kill(self) -> None:
        """End it at once, as ``kill -9`` does."""
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def child() -> None:
    """Serve calls: the main function of the other process."""
    answer, function, arguments = pickle.loads(sys.stdin.buffer.read())  # noqa: S301
    try:
        outcome = True, function(*arguments)
    except Exception as error:  # noqa: BLE001  (whatever it is, the parent gets it)
        outcome = False, error
    written = Path(f"{answer}.part")
    written.write_bytes(_pickled(outcome))
    written.rename(answer)


def _pickled(outcome: tuple[bool, Any]) -> bytes:
    try:
        data = pickle.dumps(outcome)
        pickle.loads(data)  # noqa: S301  (errors with required arguments pickle, and fail here)
    except Exception:  # noqa: BLE001
        text = f"{type(outcome[1]).__name__}: {outcome[1]}"
        return pickle.dumps((False, RuntimeError(text)))
    return data
