"""One contract for vector stores.

>>> import vecbridge
>>> index = vecbridge.get_backend("sklearn").create_index("photos", dimension=2)
>>> index.upsert(["a", "b"], [[1.0, 0.0], [0.0, 1.0]])
>>> index.search([1.0, 0.1], k=1)[0].ids
('a',)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from vecbridge._config._registry import backend_names, get_backend
from vecbridge._contract._consistency import CONSISTENCY_LEVELS, Consistency
from vecbridge._contract._field_types import FieldType, FieldValue, Scalar
from vecbridge._contract._limits import FieldLimits
from vecbridge._contract._metric import METRICS, Metric
from vecbridge._contract._ranking import AGGREGATIONS, RANKINGS, Aggregation, Ranking
from vecbridge._errors import (
    AmbiguousBackendError,
    AuthenticationError,
    BackendError,
    ClosedError,
    ConfigurationError,
    ConnectionFailedError,
    CorruptStoreError,
    DimensionError,
    DuplicateIdError,
    FilterSyntaxError,
    IndexExistsError,
    IndexNotFoundError,
    InvalidArgumentError,
    InvalidIdError,
    InvalidInputError,
    InvalidVectorError,
    MissingDependencyError,
    OperationTimeoutError,
    PartialWriteError,
    PartitionsFailedError,
    SchemaMismatchError,
    UnknownBackendError,
    UnknownSettingError,
    UnsupportedError,
    VecbridgeError,
)

if TYPE_CHECKING:
    from vecbridge._client import AsyncIndex, AsyncStore, Budgets, Index, Scan, Store
    from vecbridge._contract._capabilities import Capabilities
    from vecbridge._contract._field import field
    from vecbridge._contract._filters import Filter
    from vecbridge._contract._hits import Candidates, Hit, Hits
    from vecbridge._contract._protocols import (
        Backend,
        FarIndex,
        PartitionedIndex,
        RangeIndex,
        VectorIndex,
    )
    from vecbridge._contract._records import Fields, IndexInfo, Records
    from vecbridge._contract._scope import IdRange, Scope
else:
    # Under the other branch, since a type checker that saw this would let every name pass.
    def __getattr__(name: str) -> object:
        """Import a name of ``_WITH_NUMPY`` when it is first used."""
        from importlib import import_module

        if name not in _WITH_NUMPY:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # It imports numpy in the way that several threads may do at once.
        import_module("vecbridge._client")
        value = globals()[name] = getattr(import_module(_WITH_NUMPY[name]), name)
        return value


_WITH_NUMPY = {
    "AsyncIndex": "vecbridge._client",
    "AsyncStore": "vecbridge._client",
    "Backend": "vecbridge._contract._protocols",
    "Budgets": "vecbridge._client",
    "Candidates": "vecbridge._contract._hits",
    "Capabilities": "vecbridge._contract._capabilities",
    "FarIndex": "vecbridge._contract._protocols",
    "Fields": "vecbridge._contract._records",
    "Filter": "vecbridge._contract._filters",
    "Hit": "vecbridge._contract._hits",
    "Hits": "vecbridge._contract._hits",
    "IdRange": "vecbridge._contract._scope",
    "Index": "vecbridge._client",
    "IndexInfo": "vecbridge._contract._records",
    "PartitionedIndex": "vecbridge._contract._protocols",
    "RangeIndex": "vecbridge._contract._protocols",
    "Records": "vecbridge._contract._records",
    "Scan": "vecbridge._client",
    "Scope": "vecbridge._contract._scope",
    "Store": "vecbridge._client",
    "VectorIndex": "vecbridge._contract._protocols",
    "field": "vecbridge._contract._field",
}
"""Where each name is whose module needs numpy.

It is imported when it is first used: the command line completes a word and prints help without it.
"""

__version__ = "0.1.0"
"""Version of this release."""

contract_version = 2
"""Version of the contract in ``docs/contract.md`` that this release keeps."""

__all__ = [
    "AGGREGATIONS",
    "CONSISTENCY_LEVELS",
    "METRICS",
    "RANKINGS",
    "Aggregation",
    "AmbiguousBackendError",
    "AsyncIndex",
    "AsyncStore",
    "AuthenticationError",
    "Backend",
    "BackendError",
    "Budgets",
    "Candidates",
    "Capabilities",
    "ClosedError",
    "ConfigurationError",
    "ConnectionFailedError",
    "Consistency",
    "CorruptStoreError",
    "DimensionError",
    "DuplicateIdError",
    "FarIndex",
    "FieldLimits",
    "FieldType",
    "FieldValue",
    "Fields",
    "Filter",
    "FilterSyntaxError",
    "Hit",
    "Hits",
    "IdRange",
    "Index",
    "IndexExistsError",
    "IndexInfo",
    "IndexNotFoundError",
    "InvalidArgumentError",
    "InvalidIdError",
    "InvalidInputError",
    "InvalidVectorError",
    "Metric",
    "MissingDependencyError",
    "OperationTimeoutError",
    "PartialWriteError",
    "PartitionedIndex",
    "PartitionsFailedError",
    "RangeIndex",
    "Ranking",
    "Records",
    "Scalar",
    "Scan",
    "SchemaMismatchError",
    "Scope",
    "Store",
    "UnknownBackendError",
    "UnknownSettingError",
    "UnsupportedError",
    "VecbridgeError",
    "VectorIndex",
    "__version__",
    "backend_names",
    "contract_version",
    "field",
    "get_backend",
]


def __dir__() -> list[str]:
    """List the names that are not imported yet, too."""
    return sorted({*globals(), *__all__})
