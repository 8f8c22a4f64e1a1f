"""What an index holds beside the records that the contract shows."""

from __future__ import annotations

from vecbridge._contract._records import IndexInfo
from vecbridge._errors import UnsupportedError


def refuse_unsupported(info: IndexInfo, loss: str, *, dropped: bool) -> None:
    """Refuse to lose what an index holds and no field type expresses.

    Args:
        info: of the index.
        loss: what would be lost, and how.
        dropped: whether the caller said to go on.

    Raises:
        UnsupportedError: there is something to be lost, and the caller did not say so.
    """
    if info.unsupported and not dropped:
        raise UnsupportedError(
            f"the records of index {info.name!r} carry what vecbridge has no type of field for: "
            f"{named(info)}. {loss}. Use what the store itself offers for this, or say that it may "
            f"be lost (drop_unsupported=True; --drop-unsupported for a command)",
            capability="fields",
        )


def named(info: IndexInfo) -> str:
    """What the index holds so, in words."""
    return ", ".join(f"{name} ({kind})" for name, kind in info.unsupported.items())
