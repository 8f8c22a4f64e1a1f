"""The public surface is a decision: nothing joins or leaves it unnoticed."""

from __future__ import annotations

import ast
import importlib
import inspect
from typing import Any

import pytest

from tests.meta.remote_names import OF_REMOTE_STORES
from tests.meta.source import exported, is_public, modules, tree

PUBLIC: dict[str, list[str]] = {
    **OF_REMOTE_STORES,
    "vecbridge": [
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
    ],
    "vecbridge.cli": ["main"],
    "vecbridge.diagnosis": [
        "Diagnosable",
        "Finding",
        "Status",
        "diagnose",
        "lags",
        "scratch_index",
    ],
    "vecbridge.fields": [
        "BASE_TYPES",
        "FIELD_TYPES",
        "MAX_STRINGS",
        "BaseType",
        "FieldType",
        "FieldValue",
        "as_optional",
        "base_of",
        "is_optional",
        "refuse_unknown_types",
    ],
    "vecbridge.filters": [
        "FILTER_OPERATORS",
        "And",
        "Comparison",
        "Contains",
        "ContainsAny",
        "Filter",
        "FilterOperator",
        "IsMissing",
        "Not",
        "OneOf",
        "Operator",
        "Or",
        "StartsWith",
        "format",
        "matches",
        "parse",
        "settle",
    ],
    "vecbridge.haystack": ["VecbridgeDocumentStore", "VecbridgeEmbeddingRetriever"],
    "vecbridge.langchain": ["VectorStore"],
    "vecbridge.locks": ["ForkSafeLock", "reentrant_lock"],
    "vecbridge.local": [
        "Compaction",
        "ExactSearch",
        "IdTable",
        "LocalBackend",
        "LocalIndex",
        "LocalStore",
        "LocalTable",
        "Products",
        "SearchScope",
        "Snapshot",
        "local_capabilities",
    ],
    "vecbridge.ranking": [
        "FLOAT32_ROUNDOFF",
        "FLOAT64_ROUNDOFF",
        "SPARE",
        "UNCERTIFIED",
        "Bounds",
        "EngineGeometry",
        "Float32Keys",
        "Frame",
        "FramedQueries",
        "PairBudgets",
        "PairWork",
        "Pairs",
        "Pick",
        "ScoreForm",
        "SentQuery",
        "difference_bounds",
        "distance_matrix",
        "distances",
        "dot_error",
        "float32_floor",
        "float64_bounds",
        "gamma",
        "ids_at",
        "meets_recall",
        "norms",
        "pair_distances",
        "pick_by_bounds",
        "pick_by_keys",
        "queries_beside",
        "rank",
        "shares_found",
        "smallest_columns",
        "sum_errors",
    ],
    "vecbridge.report": [
        "Distribution",
        "Neighborhoods",
        "Recall",
        "Survey",
        "Twins",
        "document",
        "html_page",
        "survey",
    ],
    "vecbridge.settings": [
        "Address",
        "LocalPath",
        "ResolvedSetting",
        "Settings",
        "dependencies_of",
        "describe_settings",
        "local_path",
        "parse_address",
        "redacted",
        "redacted_message",
    ],
    "vecbridge.transfer": [
        "Changed",
        "Checksum",
        "Copied",
        "Differences",
        "Imported",
        "ImportedColumn",
        "Progress",
        "Verified",
        "checksum",
        "copy",
        "export_records",
        "import_records",
        "silent",
        "verify",
    ],
    "vecbridge_conformance": [
        "Case",
        "Clause",
        "Deployment",
        "Effort",
        "Harness",
        "Hung",
        "LAYERS",
        "Lifecycle",
        "Mark",
        "OtherProcess",
        "Outcome",
        "Session",
        "Vacuous",
        "Wire",
        "cases",
        "clause",
        "clauses",
        "conformance_suite",
        "mark_of",
        "pytest_plugins",
        "refuses",
        "requires",
        "run_suite",
        "vacuous",
    ],
    "vecbridge_conformance.checks": [
        "Model",
        "assert_same_bits",
        "assert_same_hits",
        "assert_same_vectors",
        "bits",
        "contents",
        "contents_of",
        "described",
        "exact_ranking",
        "raised_by",
        "recall_bound",
        "unchanged",
    ],
    "vecbridge_conformance.data": ["DIMENSIONS", "Data", "HOSTILE_IDS", "KINDS", "make"],
    "vecbridge_conformance.deviations": [
        "Deviation",
        "LedgerError",
        "capability_values",
        "ledger_of",
        "read_ledger",
    ],
    "vecbridge_conformance.faults": ["Fault", "FaultyIndex", "GARBAGE", "Moment", "lost"],
    "vecbridge_conformance.histories": [
        "ABSENT",
        "Anomaly",
        "DIMENSION",
        "History",
        "Read",
        "TORN",
        "Way",
        "Write",
        "anomalies",
        "lagging",
        "unsettled",
    ],
    "vecbridge_conformance.mutants": [
        "FarReferenceIndex",
        "Float32Index",
        "MUTANTS",
        "Mutant",
        "MutantBackend",
        "MutantSettings",
        "RangedReferenceIndex",
        "ReferenceBackend",
        "ReferenceIndex",
        "ReferenceSettings",
    ],
    "vecbridge_conformance.plugin": [],
    "vecbridge_conformance.properties": [
        "DIMENSION",
        "Drawn",
        "effort",
        "filled",
        "for_all",
        "fresh",
        "ids",
        "lattice",
        "metrics",
        "queries",
        "records",
        "same_draws",
        "seconds_per_example",
        "some",
        "vector",
    ],
    "vecbridge_conformance.reports": [
        "SCHEMA",
        "SIGNS",
        "differences",
        "html_matrix",
        "markdown_matrix",
        "read_report",
        "suite_hash",
        "versions",
        "write_report",
    ],
    "vecbridge_conformance.suite": [],
    "vecbridge_conformance.workload": [
        "Plan",
        "Recording",
        "ids_of",
        "in_processes",
        "in_threads",
        "plans",
    ],
    "vecbridge_faiss": ["FaissBackend", "FaissIndex", "FaissSettings"],
    "vecbridge_milvus": ["IndexSettings", "MilvusBackend", "MilvusIndex", "MilvusSettings"],
    "vecbridge_milvus.lite": [],
    "vecbridge_sklearn": ["SklearnBackend", "SklearnSettings"],
    "vecbridge_torch": [
        "Arithmetic",
        "TorchBackend",
        "TorchIndex",
        "TorchSettings",
        "arithmetic_of",
    ],
}
# Importing these opens FiftyOne's database, so their names are read and not fetched.
WITH_DATABASE: dict[str, list[str]] = {
    "vecbridge.demo": [],
    "vecbridge.fiftyone": [
        "Adopted",
        "Moved",
        "Orphan",
        "Orphans",
        "SyncPlan",
        "adopt",
        "close_stores",
        "disable",
        "disable_in_config",
        "enable",
        "enable_in_config",
        "move",
        "orphans",
        "status",
    ],
    "vecbridge.fiftyone.plugin": ["place_plugin", "plugin_status", "register", "remove_plugin"],
}
EVERY_NAME = [(module, name) for module, names in PUBLIC.items() for name in names]
DOCUMENTED_VALUES = {
    target.id
    for _, path in modules()
    for statement, following in zip(tree(path).body, tree(path).body[1:], strict=False)
    if isinstance(following, ast.Expr) and isinstance(following.value, ast.Constant)
    for target in getattr(statement, "targets", [getattr(statement, "target", None)])
    if isinstance(target, ast.Name)
}


def test_the_public_modules_and_their_names_are_the_ones_written_here() -> None:
    found = {name: sorted(exported(path)) for name, path in modules() if is_public(name)}

    written = {name: sorted(names) for name, names in {**PUBLIC, **WITH_DATABASE}.items()}
    assert found == written


@pytest.mark.parametrize(("module", "name"), EVERY_NAME)
def test_every_exported_name_is_there_and_documented(module: str, name: str) -> None:
    value: Any = getattr(importlib.import_module(module), name)

    if inspect.isclass(value) or inspect.isroutine(value):
        assert inspect.getdoc(value)
    else:
        assert name in DOCUMENTED_VALUES


@pytest.mark.parametrize(("module", "name"), EVERY_NAME)
def test_every_public_method_is_documented(module: str, name: str) -> None:
    value: Any = getattr(importlib.import_module(module), name)
    members = vars(value).items() if inspect.isclass(value) else ()

    silent = [
        member
        for member, held in members
        if not member.startswith("_")
        and (inspect.isroutine(held) or isinstance(held, property))
        and not inspect.getdoc(getattr(value, member))
    ]
    assert silent == []
