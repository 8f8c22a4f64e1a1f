"""A Kafka for a Milvus cluster: librdkafka's mock broker, run until standard input ends.

It keeps everything in memory and a bounded log a partition, so it is fit for moderate amounts, and
ends with the cluster that uses it. Run as ``python kafka.py``; prints the brokers' address.
"""

from __future__ import annotations

import ctypes
import sys
from importlib.metadata import files
from pathlib import Path

_PRODUCER = 0


def main() -> None:
    """Serves until standard input ends."""
    library = ctypes.CDLL(str(_librdkafka()))
    for name in ("rd_kafka_conf_new", "rd_kafka_new", "rd_kafka_mock_cluster_new"):
        getattr(library, name).restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    said = ctypes.create_string_buffer(512)
    settings = ctypes.c_void_p(library.rd_kafka_conf_new())
    client = ctypes.c_void_p(library.rd_kafka_new(_PRODUCER, settings, said, len(said)))
    if not client.value:
        sys.exit(said.value.decode())
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, 1))
    print(library.rd_kafka_mock_cluster_bootstraps(cluster).decode(), flush=True)
    sys.stdin.read()


def _librdkafka() -> Path:
    for file in files("confluent-kafka") or ():
        if file.name.startswith("librdkafka") and ".so" in file.name:
            return Path(str(file.locate()))
    sys.exit("confluent-kafka brings no librdkafka: pip install --no-deps confluent-kafka")


if __name__ == "__main__":
    main()
