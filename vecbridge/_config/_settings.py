"""The base of every backend's settings."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict

from vecbridge._contract._consistency import Consistency, parse_consistency
from vecbridge._contract._metric import Metric
from vecbridge._redaction import redacted


class Settings(BaseModel):
    """Base of every backend's settings.

    A secret is declared as :class:`pydantic.SecretStr`; then no message and no listing shows it.
    Settings are immutable, and never show the input that they refuse.

    Attributes:
        metric: metric of a new index where none is asked for.
        consistency_level: default level of a new index where none is asked for; Milvus's words
            (``Session``, ``Eventually``) are understood.

    Example:
        >>> class MySettings(Settings):
        ...     uri: str = "http://localhost:8080"
        ...     timeout: float = 10.0
        >>> MySettings(consistency_level="Strong", timeout="5").timeout
        5.0
    """

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)

    metric: Metric | None = None
    consistency_level: Annotated[Consistency, BeforeValidator(parse_consistency)] | None = None

    @property
    def in_memory(self) -> bool:
        """Whether the records are in this process alone; then no store of it can be pickled."""
        return False

    def __repr_args__(self) -> Iterator[tuple[str | None, Any]]:
        # An address may hold a password, which its type does not tell.
        for key, value in super().__repr_args__():
            yield key, redacted(value)
