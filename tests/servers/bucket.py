"""A bucket of S3 on this machine, served by moto: ``pip install 'moto[server,s3]'``."""

from __future__ import annotations

import shutil
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager

from tests.servers.milvus import free_ports

PROGRAM = "moto_server"
NAME = "bucket"
_READY_S = 60.0


@contextmanager
def running_bucket() -> Iterator[dict[str, str]]:
    """Yield what LanceDB needs to reach a bucket of the name :data:`NAME`, by its own words."""
    program = shutil.which(PROGRAM)
    assert program, f"there is no {PROGRAM}: pip install 'moto[server,s3]'"
    port = free_ports(1)[0]
    place = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [program, "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _READY_S
        request = urllib.request.Request(f"{place}/{NAME}", method="PUT")
        while True:
            try:
                urllib.request.urlopen(request).close()
                break
            except urllib.error.URLError:
                assert time.monotonic() < deadline, f"{PROGRAM} does not answer"
                time.sleep(0.05)
        yield {
            "endpoint": place,
            "allow_http": "true",
            "region": "us-east-1",
            "aws_access_key_id": "vecbridge",
            "aws_secret_access_key": "of-nothing",
        }
    finally:
        process.kill()
        process.wait()
