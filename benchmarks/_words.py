"""What the page of the benchmarks says around its figures."""

from __future__ import annotations

HEAD = """\
# Benchmarks

What a user waits for, beside the same work by the library or client under it. Lower is better,
and a ratio is ours over theirs: 1 is the same, 2 is twice as long.
"""
REST = """\
Everything that was measured, with what was missed and why, follows. `make bench` measures and
writes this page; `make bench BENCH="sweep faiss"` measures these alone and keeps the rest;
`python -m benchmarks.page` writes the page again from the figures that are kept, in
`benchmarks/results/`.

## How to read it

- **Read the ratios.** Each is ours over theirs: 1 is the same, 2 is twice as long or as much, 0.1
  a tenth. Seconds are of one machine; both sides of a ratio were run in one process or one after
  the other on it, most of them in turn, so that what else the machine did hit both alike.
- **Limit** is what we want the ratio to keep, and *missed* says that it did not. A ratio without
  a limit is there to be known. Where a column says how often each side was run, its figures are
  medians over that many.
- **Ours is exact.** Unless a row says *native*, our answers have [exact ranking](ranking.md): the
  order is by one definition of distance, and proven. Peers rank as they do.
- **A peer** is what a user would take instead. **A limit of the machine** is what no search
  through all vectors can beat: the BLAS product of the same shape, which computes the distances
  and picks nothing, and reading the bytes of the vectors once with all cores. Vectors that fit in
  a cache are read faster than that; the figure of 10,000 records can be below it.
- A load well above the number of cores at the start or the end says that the machine was busy
  with something else, and figures of less than a few milliseconds mean little then.
"""
GPU = """\
## On a GPU

`python benchmarks/bench_torch.py --device cuda --count 10000000` compares one query with a single
reading of the vectors as they are held there, in 16 bits, at the bandwidth that is measured first;
a thousand queries with the throughput of bfloat16 products that is measured first; and says what
share of the answers is proven exact. `--device` takes `mps` and `cpu` too. It has not been run on
a GPU yet: there are no figures to show.
"""
SWEEP = """\
## Growth with size and with dimension

In-memory searches under the euclidean metric through the sklearn and the FAISS backend (flat),
exact ranking included. *Within* gives ours the ids that may be found, as strings, and looks them
up; the peers are given row numbers, which their user must know. Ingest of ours writes files that
survive a crash, with the vectors and their ids; the peers build in memory and write one file at
the end, without ids. Opening includes one query. The limit for ingest is writing the bytes of the
vectors to a file and `fsync`; for opening, reading that file, which is in the system's cache on
every side.

Where ours costs more than the peer, these are the reasons:

- *Within a share of many records*: each id of the list is looked up, in Python, for every search.
  At a million records that is most of the time, and it grows with the list.
- *k = 10,000*: the distance of every hit is computed again from its vector, in double precision,
  and the hits are sorted by it. That reads ten thousand vectors in the order of the hits, and grows
  with the dimension.
- *Ingest*: a write is on disk before it is acknowledged, and ids are kept in a database. In memory
  there is nothing to pay for that, so the ratio to a peer that keeps no ids is large at any size.
- *Opening*: the ids are read again into a table that finds a row by its id. With few dimensions
  they weigh as much as the vectors.
- *Memory*: the ids, and that table.
"""
