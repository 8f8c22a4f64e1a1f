"""Record what a Milvus server is asked and answers, and answer the same questions without it.

    VECBRIDGE_TEST_MILVUS_URI=http://... python -m tools.milvus_transcript record FILE [-- COMMAND]
    VECBRIDGE_TEST_MILVUS_URI=http://... python -m tools.milvus_transcript record --suite FILE
    python -m tools.milvus_transcript replay FILE

COMMAND is what follows `python -m`, such as `pytest tests/live/milvus/test_records.py`. It runs
behind a relay on 127.0.0.1, with names in the place of random ones, so that it asks the same when
the recording is replayed. A transcript is a gzipped file of one JSON object per line: first what
was recorded (the server's version, the date, the command), then a call per line. No credentials are
kept: what creates or changes accounts is not recorded, and tokens travel beside the messages.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import json
import os
import runpy
import sys
import threading
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from concurrent import futures
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Protocol

import grpc

_SERVICE = "/milvus.proto.milvus.MilvusService/"
_LARGEST = 1 << 28
_SIZES = [
    ("grpc.max_receive_message_length", _LARGEST),
    ("grpc.max_send_message_length", _LARGEST),
]
_LONGEST_S = 120.0
_READING = ("Describe", "Show", "Has", "Get", "List", "Search", "Query", "HybridSearch", "Connect")
_LISTED = ("CreateCollection", "DropCollection", "CreateDatabase", "DropDatabase")
"""What changes the answers to questions about no collection."""

_ALWAYS = ("Connect", "GetVersion", "GetReplicas")
"""Asked again after some time, whatever was changed meanwhile."""

_OF_ACCOUNTS = ("Credential", "Operate")
_URI = "VECBRIDGE_TEST_MILVUS_URI"
_TESTS = ("records", "filters", "field_types", "foreign_columns", "unsupported", "hostile_ids")
RECORDED = ["pytest", "-q", "-n", "0", *(f"tests/live/milvus/test_{name}.py" for name in _TESTS)]
"""What is run where nothing else is said."""

_LAYERS = "smoke,semantics,ranking,properties,stateful"
SUITE = ["tools.conformance", "milvus-given", "--inside", "--report", "build/recorded"]
SUITE += ["--layer", _LAYERS, "--pace", "1"]
"""The layers of the suite that ask the same each time: in the others several write at once, calls
are held up or answered wrongly, or the clock decides."""

Answer = tuple[bytes, str, str]
"""A reply; or none, and the status of gRPC's and its words."""


class Answering(Protocol):
    """What stands behind the address that the command is given."""

    def answer(self, method: str, request: bytes, metadata: Sequence[Any]) -> Answer:
        """Return the answer to a call."""
        ...


class _Asked:
    """Tells calls apart: by what is asked, and by how often the collection was changed before."""

    def __init__(self) -> None:
        self._changes = Counter[str]()
        self._lock = threading.Lock()

    def key(self, method: str, request: bytes) -> str:
        """Return what a call is kept under."""
        collection = _collection(method, request)
        # A client that connects says who it is and when.
        asked = b"" if method == "Connect" else request
        digest = hashlib.sha256(asked).hexdigest()[:16]
        with self._lock:
            # Whoever takes more time asks these at another place.
            changes = 0 if method in _ALWAYS else self._changes[collection]
            if not method.startswith(_READING):
                self._changes[collection] += 1
            if method in _LISTED:
                self._changes[""] += 1
        return f"{method} {collection} {changes} {digest}"


class Recorder:
    """Passes calls on to a server, and writes down what comes back."""

    def __init__(self, uri: str, path: Path, command: Sequence[str]) -> None:
        secure, address = uri.startswith("https:"), uri.rpartition("//")[2].strip("/")
        opened = grpc.secure_channel if secure else grpc.insecure_channel
        credentials = [grpc.ssl_channel_credentials()] if secure else []
        self._channel = opened(address, *credentials, _SIZES)
        self._asked, self._lock = _Asked(), threading.Lock()
        self._file = gzip.open(path, "wt", encoding="utf-8")  # noqa: SIM115 - close() ends it
        # What a recording that was cut off has left on the server has other names.
        self.salt = os.urandom(8).hex()
        reply, *_ = self._server_says("GetVersion", b"", ())
        header = {
            "version": _message("GetVersion", reply, "output_type").version,
            "recorded": datetime.now(timezone.utc).strftime("%Y-%m-%d"),
            "command": list(command),
            "salt": self.salt,
        }
        self._file.write(json.dumps(header) + "\n")

    def answer(self, method: str, request: bytes, metadata: Sequence[Any]) -> Answer:
        """Return the server's answer."""
        key = self._asked.key(method, request)
        reply, status, details = self._server_says(method, request, metadata)
        if not any(word in method for word in _OF_ACCOUNTS):
            line = {"key": key, "request": _text(request), "reply": _text(reply)}
            if status:
                line |= {"status": status, "details": details}
            with self._lock:
                if not self._file.closed:
                    self._file.write(json.dumps(line) + "\n")
        return reply, status, details

    def _server_says(self, method: str, request: bytes, metadata: Sequence[Any]) -> Answer:
        call = self._channel.unary_unary(_SERVICE + method)
        try:
            return call(request, timeout=_LONGEST_S, metadata=metadata), "", ""
        except grpc.RpcError as error:
            return b"", error.code().name, error.details() or ""

    def close(self) -> None:
        """End the recording."""
        with self._lock:
            self._file.close()
        self._channel.close()


class Replay:
    """Answers as the server of a recording did, each question in its turn."""

    def __init__(self, path: Path) -> None:
        self._asked, self._lock = _Asked(), threading.Lock()
        self._answers = defaultdict[str, list[Answer]](list)
        self.missing: list[str] = []
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            self.header: dict[str, Any] = json.loads(next(lines))
            for line in map(json.loads, lines):
                reply = base64.b64decode(line["reply"])
                answer = reply, line.get("status", ""), line.get("details", "")
                self._answers[line["key"]].append(answer)

    def answer(self, method: str, request: bytes, metadata: Sequence[Any]) -> Answer:
        """Return the next answer to a question, and its last one ever after."""
        key = self._asked.key(method, request)
        with self._lock:
            known = self._answers.get(key)
            if known:
                return known.pop(0) if len(known) > 1 else known[0]
            self.missing.append(key)
        return b"", "UNIMPLEMENTED", f"the transcript has no answer to {key}"

    def close(self) -> None:
        """Do nothing."""


class _Handler(grpc.GenericRpcHandler):  # type: ignore[misc]
    def __init__(self, behind: Answering) -> None:
        self._behind = behind

    def service(self, details: Any) -> Any:
        method = details.method.rpartition("/")[2]

        def served(request: bytes, context: Any) -> bytes:
            metadata = [pair for pair in context.invocation_metadata() if pair[0][0] != ":"]
            reply, status, said = self._behind.answer(method, request, metadata)
            if status:
                context.abort(grpc.StatusCode[status], said)
            return reply

        return grpc.unary_unary_rpc_method_handler(served)


@contextmanager
def serving(behind: Answering) -> Iterator[str]:
    """Yield the address at which a recorder or a replay answers."""
    server = grpc.server(futures.ThreadPoolExecutor(16), [_Handler(behind)], options=_SIZES)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.stop(None).wait()


def run(command: Sequence[str], uri: str, salt: str) -> object:
    """Run a module with that server as the given one, and return its exit status."""
    os.environ[_URI] = uri
    uuid.uuid4 = Steady(salt)
    sys.argv = list(command)
    try:
        runpy.run_module(command[0], run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code
    return 0


class Steady:
    """Makes what `uuid.uuid4` does, the same ids whenever a program does the same.

    Args:
        salt: makes others of them.
    """

    def __init__(self, salt: str = "") -> None:
        self._salt = salt
        self._made = Counter[str]()
        self._lock = threading.Lock()

    def __call__(self) -> uuid.UUID:
        """Return the next id of the line that asks, for what it calls `name`."""
        caller = sys._getframe(1)  # noqa: SLF001 - no other way to tell threads of one line apart
        about = caller.f_locals.get("name", "")
        place = f"{Path(caller.f_code.co_filename).name}:{caller.f_lineno} {about}"
        with self._lock:
            self._made[place] += 1
            name = f"{self._salt} {place} {self._made[place]}"
        return uuid.UUID(bytes=hashlib.sha256(name.encode()).digest()[:16], version=4)


def _message(method: str, data: bytes, side: str = "input_type") -> Any:
    from pymilvus.grpc_gen import milvus_pb2

    service = milvus_pb2.DESCRIPTOR.services_by_name["MilvusService"]
    name = getattr(service.methods_by_name[method], side).name
    return getattr(milvus_pb2, name).FromString(data)


def _collection(method: str, request: bytes) -> str:
    try:
        message = _message(method, request)
    except (KeyError, AttributeError):
        return ""
    names = getattr(message, "collection_names", ())
    return str(getattr(message, "collection_name", "") or ",".join(names))


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode()


def main() -> object:
    """Record or replay; the exit status is the command's."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("what", choices=("record", "replay"))
    parser.add_argument("file", type=Path)
    parser.add_argument("command", nargs="*", help="a module and its arguments, after --")
    parser.add_argument("--suite", action="store_true", help="record the conformance suite")
    given = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        # Sets of strings are in another order in each process, and so would be what is asked.
        os.environ["PYTHONHASHSEED"] = "0"
        again = [sys.executable, "-m", "tools.milvus_transcript", *sys.argv[1:]]
        os.execv(sys.executable, again)  # noqa: S606 - the same program
    if given.what == "replay":
        replay = Replay(given.file)
        command = given.command or replay.header["command"]
        print(f"Milvus {replay.header['version']}, recorded {replay.header['recorded']}")
        with serving(replay) as uri:
            status = run(command, uri, replay.header["salt"])
        print(f"{len(replay.missing)} questions without a recorded answer", *replay.missing[:5])
        return status
    if not os.environ.get(_URI):
        parser.error(f"say where the server is: {_URI}=http://...")
    command = given.command or (SUITE if given.suite else RECORDED)
    given.file.parent.mkdir(parents=True, exist_ok=True)
    recorder = Recorder(os.environ[_URI], given.file, command)
    try:
        with serving(recorder) as uri:
            return run(command, uri, recorder.salt)
    finally:
        recorder.close()


if __name__ == "__main__":
    sys.exit(main())  # type: ignore[arg-type]
