"""The names that are public, module by module: a decision, which a test compares with the code."""

from __future__ import annotations

PUBLIC: dict[str, list[str]] = {
    "vecbridge": """
        AGGREGATIONS Aggregation AmbiguousBackendError AsyncIndex AsyncStore
        AuthenticationError Backend BackendError Budgets CONSISTENCY_LEVELS Candidates
        Capabilities ClosedError ConfigurationError ConnectionFailedError Consistency
        CorruptStoreError DimensionError DuplicateIdError FarIndex FieldLimits FieldType
        FieldValue Fields Filter FilterSyntaxError Hit Hits IdRange Index IndexExistsError
        IndexInfo IndexNotFoundError InvalidArgumentError InvalidIdError InvalidInputError
        InvalidVectorError METRICS Metric MissingDependencyError OperationTimeoutError
        PartialWriteError PartitionedIndex PartitionsFailedError RANKINGS RangeIndex Ranking
        Records Scalar Scan SchemaMismatchError Scope Store UnknownBackendError UnknownSettingError
        UnsupportedError VecbridgeError VectorIndex __version__ backend_names
        contract_version field get_backend
    """.split(),
    "vecbridge.bulk": """
        Batch Digest Estimate PartReader Partition Plan RayExecutor Sent TableWriter WorkerPool
        Written copy_part dask_executor digest_part duplicates estimate finish neighbors plan write
    """.split(),
    "vecbridge.cli": "main".split(),
    "vecbridge.diagnosis": "Diagnosable Finding Status diagnose lags scratch_index".split(),
    "vecbridge.fields": """
        BASE_TYPES BaseType FIELD_TYPES FieldType FieldValue MAX_STRINGS as_optional base_of
        integer_of is_optional refuse_unknown_types
    """.split(),
    "vecbridge.fiftyone.similarity": """
        MilvusSimilarity MilvusSimilarityConfig MilvusSimilarityIndex SameNameSimilarityConfig
        SklearnSimilarity SklearnSimilarityConfig SklearnSimilarityIndex connect_default
    """.split(),
    "vecbridge.filters": """
        And Comparison Contains ContainsAny FILTER_OPERATORS Filter FilterOperator IsMissing
        Not OneOf Operator Or StartsWith format matches parse settle
    """.split(),
    "vecbridge.haystack": "VecbridgeDocumentStore VecbridgeEmbeddingRetriever".split(),
    "vecbridge.langchain": "VectorStore".split(),
    "vecbridge.local": """
        Compaction ExactSearch IdTable LocalBackend LocalIndex LocalStore LocalTable
        Products SearchScope Snapshot local_capabilities
    """.split(),
    "vecbridge.locks": "ForkSafeLock reentrant_lock".split(),
    "vecbridge.ranking": """
        Bounds EngineGeometry FLOAT32_ROUNDOFF FLOAT64_ROUNDOFF Float32Keys Frame
        FramedQueries PairBudgets PairWork Pairs Pick SPARE ScoreForm SentQuery UNCERTIFIED
        difference_bounds distance_matrix distances dot_error float32_floor float64_bounds
        gamma ids_at meets_recall norms pair_distances pick_by_bounds pick_by_keys
        queries_beside rank shares_found smallest_columns sum_errors
    """.split(),
    "vecbridge.remote": """
        ApproximateCollection ApproximateRanker Cause Collection Columns Connector
        Effort ErrorTable ExactRanker ForeignSchema Link NORM Nearest Outside Page
        PartitionedCollection Probe ProcessLock RecallTuner RemoteBackend RemoteIndex
        RemoteSettings GivenNames SearchedCollection TooLargeError float_key float_of from_document
        id_bounds in_parts index_names is_name joined passes_by_itself retrying
        storage_name to_document uuid_of
    """.split(),
    "vecbridge.report": """
        Distribution Neighborhoods Recall Survey Twins document html_page survey
    """.split(),
    "vecbridge.settings": """
        Address LocalPath ResolvedSetting Settings dependencies_of describe_settings
        local_path parse_address redacted redacted_message
    """.split(),
    "vecbridge.transfer": """
        Changed Checksum Copied Differences Imported ImportedColumn Progress Verified
        checksum copy export_records import_records silent verify
    """.split(),
    "vecbridge_conformance": """
        Case Clause Deployment Effort Harness Hung LAYERS Lifecycle Mark OtherProcess
        Outcome Session Vacuous Wire cases clause clauses conformance_suite mark_of
        pytest_plugins refuses requires run_suite vacuous
    """.split(),
    "vecbridge_conformance.checks": """
        Model assert_same_bits assert_same_hits assert_same_vectors bits contents
        contents_of described exact_ranking raised_by recall_bound unchanged
    """.split(),
    "vecbridge_conformance.data": "DIMENSIONS Data HOSTILE_IDS KINDS make".split(),
    "vecbridge_conformance.deviations": """
        Deviation LedgerError capability_values ledger_of read_ledger
    """.split(),
    "vecbridge_conformance.faults": "Fault FaultyIndex GARBAGE Moment lost".split(),
    "vecbridge_conformance.histories": """
        ABSENT Anomaly DIMENSION History Read TORN Way Write anomalies lagging unsettled
    """.split(),
    "vecbridge_conformance.mutants": """
        FarReferenceIndex Float32Index MUTANTS Mutant MutantBackend MutantSettings
        RangedReferenceIndex ReferenceBackend ReferenceIndex ReferenceSettings
    """.split(),
    "vecbridge_conformance.plugin": "".split(),
    "vecbridge_conformance.properties": """
        DIMENSION Drawn effort filled for_all fresh ids lattice metrics queries records
        same_draws seconds_per_example some vector
    """.split(),
    "vecbridge_conformance.reports": """
        SCHEMA SIGNS differences html_matrix markdown_matrix read_report suite_hash versions
        write_report
    """.split(),
    "vecbridge_conformance.suite": "".split(),
    "vecbridge_conformance.workload": "Plan Recording ids_of in_processes in_threads plans".split(),
    "vecbridge_chroma": "ChromaBackend ChromaSettings".split(),
    "vecbridge_faiss": "FaissBackend FaissIndex FaissSettings".split(),
    "vecbridge_milvus": "IndexSettings MilvusBackend MilvusIndex MilvusSettings".split(),
    "vecbridge_milvus.lite": "".split(),
    "vecbridge_lancedb": "LancedbBackend LancedbSettings".split(),
    "vecbridge_pgvector": "PgvectorBackend PgvectorSettings".split(),
    "vecbridge_qdrant": "QdrantBackend QdrantSettings".split(),
    "vecbridge_redis": "RedisBackend RedisSettings".split(),
    "vecbridge_sklearn": "SklearnBackend SklearnSettings".split(),
    "vecbridge_torch": "Arithmetic TorchBackend TorchIndex TorchSettings arithmetic_of".split(),
}
WITH_DATABASE: dict[str, list[str]] = {
    "vecbridge.demo": "".split(),
    "vecbridge.fiftyone": """
        Adopted Moved Orphan Orphans SyncPlan adopt close_stores disable disable_in_config
        enable enable_in_config move orphans status
    """.split(),
    "vecbridge.fiftyone.plugin": "place_plugin plugin_status register remove_plugin".split(),
}
"""Imported only where a database of FiftyOne's runs."""
