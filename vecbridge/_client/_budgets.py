"""How much memory the client layer may take, and where it changes from one plan to another."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Budgets:
    """How much a read may take at a time. No answer depends on it.

    The defaults were measured on one core of a server; a program that has little memory to spare
    gives :class:`vecbridge.Store` or :class:`vecbridge.Index` smaller ones.

    Attributes:
        scan_bytes: vectors of one batch of a scan.
        table_bytes: distances that are held at once while every record is ranked.
        candidate_bytes: vectors that an engine is asked for at once.
        range_hits: hits per query that a range search asks for before it reads every record.
        fetched_values: numbers of listed vectors, per query, that cost less to fetch and to rank
            here than to search among.
        long_list_ids: ids of ``within`` from which on a store in this process is asked how many
            records it has: the list may cost more to look up than the rest costs to search.
        lookup_products: multiplications of a search that take as long as to look up one id there.
    """

    scan_bytes: int = 16 << 20
    table_bytes: int = 32 << 20
    candidate_bytes: int = 32 << 20
    range_hits: int = 4096
    fetched_values: int = 1 << 20
    long_list_ids: int = 4096
    lookup_products: int = 8000
