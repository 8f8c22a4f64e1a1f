"""One Milvus Lite directory in several processes: the first serves, the others find and succeed it.

The process of the tests is one of them; the others are peers, told what to do line by line.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import vecbridge
from tests.servers.lite_file import locked, name_socket, named, named_socket
from vecbridge import ConnectionFailedError, CorruptStoreError, Index, Store

PEER = """
import json, os, sys
import vecbridge

store = vecbridge.get_backend("milvus", uri=sys.argv[1])
index = None
for line in sys.stdin:
    command, *arguments = json.loads(line)
    if command == "open":
        index = store.open_or_create_index("shared", dimension=2, metric="euclidean")
        answer = None
    elif command == "write":
        prefix, count = arguments
        for number in range(count):
            index.upsert([f"{prefix}{number}"], [[number, 1]])
        answer = count
    elif command == "delete":
        answer = index.delete(arguments)
    elif command == "count":
        answer = index.count()
    elif command == "near":
        answer = list(index.search(arguments, k=2)[0].ids)
    elif command == "exit":
        sys.exit()
    print(json.dumps(answer), flush=True)
"""
FORKS = """
import os, sys
import vecbridge

store = vecbridge.get_backend("milvus", uri=sys.argv[1])
index = store.create_index("shared", dimension=2, metric="euclidean")
index.upsert(["parent"], [[1, 1]])
child = os.fork()
if not child:
    index.upsert(["child"], [[2, 2]])
    print("child", index.count(), flush=True)
    if sys.argv[2] == "stays":
        sys.stdin.read()
    sys.exit()
if sys.argv[2] == "leaves":
    assert os.waitpid(child, 0)[1] == 0
    index.upsert(["after"], [[3, 3]])
    print("parent", index.count(), flush=True)
sys.stdin.read()
"""
PAUSE_S = 10.0
"""Far more than the hand-over takes, on a machine that does other things as well."""


class Peer:
    """Another process on the directory."""

    def __init__(self, path: Path, program: str = PEER, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", program, str(path), *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def tell(self, *command: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{json.dumps(command)}\n")
        self.process.stdin.flush()

    def read(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    def hear(self) -> Any:
        return json.loads(self.read())

    def ask(self, *command: Any) -> Any:
        self.tell(*command)
        return self.hear()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        """Lets it end by itself, and clear up."""
        self.process.communicate(timeout=PAUSE_S)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "v.db"


@pytest.fixture
def peer(path: Path) -> Iterator[Callable[..., Peer]]:
    peers: list[Peer] = []

    def start(*arguments: str, program: str = PEER) -> Peer:
        peers.append(Peer(path, program, *arguments))
        return peers[-1]

    yield start
    for each in peers:
        each.close()


@pytest.fixture
def store(path: Path) -> Iterator[Store]:
    with vecbridge.get_backend("milvus", uri=str(path)) as opened:
        yield opened


def shared(store: Store) -> Index:
    return store.open_or_create_index("shared", dimension=2, metric="euclidean")


def serving(path: Path) -> int:
    return int(named(path)["pid"])


def test_each_sees_what_the_other_wrote(
    path: Path, store: Store, peer: Callable[..., Peer]
) -> None:
    other = peer()
    other.ask("open")
    index = shared(store)
    assert serving(path) == other.process.pid
    assert index.capabilities.shared
    index.upsert(["mine"], [[5, 5]])
    assert other.ask("near", 5, 5) == ["mine"]
    other.ask("write", "theirs", 3)
    assert index.count() == 4
    other.ask("delete", "mine", "theirs0")
    assert index.contains(["mine", "theirs1"]).tolist() == [False, True]
    link = path.parent / "link.db"
    link.symlink_to(path)
    with vecbridge.get_backend("milvus", uri=str(link)) as again:
        assert again.open_index("shared").count() == 2


def test_one_that_serves_is_killed_in_mid_ingest(
    path: Path, store: Store, peer: Callable[..., Peer]
) -> None:
    other = peer()
    other.ask("open")
    other.ask("write", "theirs", 40)
    index = shared(store)
    other.tell("write", "more", 10_000)
    killer = threading.Timer(0.3, other.process.kill)
    killer.start()
    written: list[str] = []
    longest, ends = 0.0, time.monotonic() + 1.5
    while time.monotonic() < ends or other.process.poll() is None:
        started = time.monotonic()
        names = [f"{len(written) + number}" for number in range(20)]
        index.upsert(names, [[1, 2]] * 20)
        written += names
        longest = max(longest, time.monotonic() - started)
    killer.join()
    assert serving(path) == os.getpid()
    assert longest < PAUSE_S
    assert index.contains(written).all()
    assert index.contains([f"theirs{number}" for number in range(40)]).all()
    newcomer = peer()
    newcomer.ask("open")
    assert newcomer.ask("count") == index.count()


def test_one_that_serves_leaves(path: Path, store: Store, peer: Callable[..., Peer]) -> None:
    other, third = peer(), peer()
    for each in (other, third):
        each.ask("open")
    other.ask("write", "theirs", 30)
    index = shared(store)
    other.tell("exit")
    assert index.count() == 30
    assert third.ask("write", "third", 10) == 10
    assert other.process.wait() == 0
    assert serving(path) != other.process.pid
    assert index.count() == 40
    store.close()
    assert third.ask("count") == 40
    assert serving(path) == third.process.pid


def test_many_open_at_once_and_succeed_one_another(path: Path, peer: Callable[..., Peer]) -> None:
    peers = [peer() for _ in range(4)]
    for each in peers:
        each.tell("open")
    for each in peers:
        each.hear()
    for number, each in enumerate(peers):
        each.tell("write", f"p{number}-", 25)
    first = serving(path)
    (served,) = (each for each in peers if each.process.pid == first)
    served.hear()
    served.kill()
    peers.remove(served)
    for each in peers:
        assert each.hear() == 25
    assert [each.ask("count") for each in peers] == [100] * 3
    assert serving(path) in {each.process.pid for each in peers}


def test_what_a_killed_process_leaves_is_no_hindrance(
    path: Path, store: Store, peer: Callable[..., Peer]
) -> None:
    other = peer()
    other.ask("open")
    other.ask("write", "theirs", 5)
    left = named_socket(path)
    other.kill()
    assert left.exists()
    assert shared(store).count() == 5
    assert serving(path) == os.getpid()
    store.close()
    assert not left.parent.exists()


def test_only_this_user_can_reach_it_and_no_port_is_open(path: Path, store: Store) -> None:
    shared(store)
    place = named_socket(path)
    assert stat.S_IMODE(place.parent.stat().st_mode) == 0o700
    assert not listening_ports()
    if os.geteuid() == 0:
        program = f"import socket; socket.socket(socket.AF_UNIX).connect({str(place)!r})"
        stranger = subprocess.run(
            ["/usr/bin/env", "python3", "-c", program],
            user=65534,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "PermissionError" in stranger.stderr


@pytest.mark.parametrize("trap", ["open to others", "another user's", "a link"])
def test_a_socket_that_others_could_have_made_is_not_spoken_to(
    path: Path, tmp_path: Path, trap: str
) -> None:
    if trap == "another user's" and os.geteuid() != 0:
        pytest.skip("only root can give a directory away")
    with vecbridge.get_backend("milvus", uri=str(path)) as store:
        shared(store).upsert(["kept"], [[1, 2]])
    lair = tmp_path / "vecbridge-lite-trap"
    lair.mkdir(mode=0o700)
    if trap == "open to others":
        lair.chmod(0o777)
    elif trap == "another user's":
        os.chown(lair, 65534, -1)
    else:
        lair.rename(tmp_path / "elsewhere")
        lair.symlink_to(tmp_path / "elsewhere")
    with closing(socket.socket(socket.AF_UNIX)) as listener:
        listener.bind(str(lair / "lite.sock"))
        listener.listen()
        with vecbridge.get_backend("milvus", uri=str(path), timeout=1) as store:
            with locked(path) as held:
                name_socket(held, path, lair / "lite.sock")
                with pytest.raises(ConnectionFailedError, match="cannot speak to it") as refused:
                    store.index_names()
            assert str(lair) in str(refused.value)
            # The process that serves then does not serve there either.
            assert store.open_index("shared").count() == 1
        assert (lair / "lite.sock").exists()


def test_a_copy_is_a_directory_of_its_own(path: Path, store: Store, tmp_path: Path) -> None:
    index = shared(store)
    index.upsert(["a"], [[1, 2]])
    shutil.copytree(path, tmp_path / "copy.db")
    with vecbridge.get_backend("milvus", uri=str(tmp_path / "copy.db")) as copied:
        shared(copied).upsert(["b"], [[3, 4]])
        assert shared(copied).count() == 2
        assert index.count() == 1


def test_a_damaged_directory_is_not_taken_over(
    path: Path, store: Store, peer: Callable[..., Peer]
) -> None:
    other = peer()
    other.ask("open")
    index = shared(store)
    index.upsert(["a"], [[1, 2]])
    (victim,) = path.rglob("schema.json")
    victim.write_bytes(b"torn")
    other.kill()
    with pytest.raises(CorruptStoreError, match=r"schema\.json"):
        index.count()
    assert victim.read_bytes() == b"torn"


def test_an_index_that_a_killed_process_wrote_half_is_made_again(
    path: Path, store: Store, peer: Callable[..., Peer]
) -> None:
    other = peer()
    other.ask("open")
    other.ask("write", "theirs", 30)
    # Searching puts rows away, and makes the index of their segment.
    other.ask("near", 5, 1)
    other.kill()
    (torn,) = path.rglob("indexes/*")
    torn.write_bytes(torn.read_bytes()[:40])
    index = shared(store)
    assert index.search([5, 1], k=1)[0].ids == ("theirs5",)
    assert index.count() == 30


def test_a_program_that_does_not_share_is_told(path: Path, store: Store) -> None:
    import fcntl

    path.mkdir()
    with (path / "LOCK").open("w") as locked:
        fcntl.flock(locked, fcntl.LOCK_EX)
        with pytest.raises(ConnectionFailedError, match="one process at a time"):
            store.index_names()
    assert store.index_names() == []


def test_a_forked_child_is_served_by_its_parent(
    path: Path, store: Store, peer: Callable[..., Peer]
) -> None:
    parent = peer("leaves", program=FORKS)
    assert parent.read() == "child 2\n"
    assert parent.read() == "parent 3\n"
    assert serving(path) == parent.process.pid
    assert shared(store).count() == 3


def test_a_forked_child_does_not_hold_what_was_its_parents(
    path: Path, store: Store, peer: Callable[..., Peer]
) -> None:
    parent = peer("stays", program=FORKS)
    assert parent.read() == "child 2\n"
    os.kill(parent.process.pid, signal.SIGKILL)
    parent.process.wait()
    started = time.monotonic()
    assert shared(store).count() == 2
    assert time.monotonic() - started < PAUSE_S


def test_threads_write_at_once(store: Store) -> None:
    index = shared(store)

    def write(name: str) -> None:
        for number in range(40):
            index.upsert([f"{name}{number}"], [[number, 0]])

    threads = [threading.Thread(target=write, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert index.count() == 160


def listening_ports() -> list[str]:
    """TCP addresses on which this process listens."""
    mine = {
        str(entry.readlink()) for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink()
    }
    rows = [
        line.split()
        for table in ("tcp", "tcp6")
        for line in Path(f"/proc/self/net/{table}").read_text().splitlines()[1:]
    ]
    return [row[1] for row in rows if row[3] == "0A" and f"socket:[{row[9]}]" in mine]
