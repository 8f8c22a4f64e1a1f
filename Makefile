# On a fresh machine with Python 3.10 or newer and make: `make demo`, `make test`.
# The environment lives in .venv, made by the targets that need it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
BIN := .venv/bin
DEV_EXTRAS := all,lancedb,chroma,dask,ray
USER_ENV := .venv/.user-stamp
DEV_ENV := .venv/.dev-stamp
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --retries 10 --timeout 60
SOURCES := vecbridge backends conformance examples tests tools benchmarks

export FIFTYONE_DO_NOT_TRACK := 1
export HAYSTACK_TELEMETRY_ENABLED := False

# A registry that hiccups fails a whole installation, so that is tried again as a whole.
retry = for attempt in 1 2 3; do $(1) && break; \
	if [ $$attempt = 3 ]; then exit 1; fi; echo "trying again"; sleep 5; done

.PHONY: help
help: ## Show these targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

.PHONY: demo
demo: $(USER_ENV) ## The main job on real images, on three stores (APP=1 opens the FiftyOne App)
	@$(BIN)/python -m vecbridge.demo $(if $(APP),--app)

.PHONY: test
test: lint types docs ## Everything: lint, types, docs, and every test with real servers
	@$(BIN)/python tools/ensure_browser.py
	@# Files are dealt out in order, the longest, with live servers, first.
	@$(BIN)/python -m pytest -n 4 --dist loadfile --no-loadscope-reorder

.PHONY: test-cluster
test-cluster: $(DEV_ENV) ## A real Milvus cluster, with a query node killed (needs etcd: Debian's etcd-server)
	@command -v etcd >/dev/null || { echo "there is no etcd: apt-get install etcd-server"; exit 1; }
	@$(PIP) install --no-deps 'confluent-kafka>=2.5'
	@$(BIN)/python -m pytest tests/cluster -m cluster -s

.PHONY: test-bulk
test-bulk: $(DEV_ENV) ## Bulk work on Dask and Ray, with workers, nodes and the program killed (Linux)
	@# Ray listens on every address, so there is only the loopback; and all ends with the shell.
	@unshare --map-root-user --net --pid --fork --kill-child --mount-proc \
		sh -c 'ip link set lo up; "$$@"; exit $$?' sh $(BIN)/python -m pytest tests/bulk -m bulk

.PHONY: test-bucket
test-bucket: $(DEV_ENV) ## The suite on LanceDB in an object store, which moto serves
	@test -x build/moto/bin/moto_server || { $(PYTHON) -m venv build/moto; build/moto/bin/pip install --quiet 'moto[server,s3]>=5'; }
	@PATH="$$PWD/build/moto/bin:$$PATH" $(BIN)/python -m tools.conformance lancedb-s3 --report build/lancedb-s3

.PHONY: test-kills
test-kills: $(DEV_ENV) ## Ten kills of PostgreSQL, and of Redis, in the middle of an ingest
	@VECBRIDGE_TEST_KILLS=10 $(BIN)/python -m pytest tests/live/pgvector/test_killed.py \
		tests/live/redis/test_killed.py -s

.PHONY: test-fast
test-fast: $(DEV_ENV) ## Tests without servers, under a minute
	@$(BIN)/python -m pytest tests/unit tests/meta -m "not slow"

.PHONY: test-exhaustive
test-exhaustive: $(DEV_ENV) ## A store interrupted at every line, and with every bit of it turned over (an hour)
	@VECBRIDGE_TEST_EXHAUSTIVE=1 $(BIN)/python -m pytest -n 2 --timeout 5400 tests/unit/local/test_interrupts.py \
		tests/unit/local/test_interrupted_opening.py tests/unit/local/test_exchanged.py

.PHONY: test-milvus
test-milvus: export VECBRIDGE_TEST_MILVUS_URI := $(or $(URI),$(VECBRIDGE_TEST_MILVUS_URI))
test-milvus: export VECBRIDGE_TEST_MILVUS_TOKEN := $(or $(TOKEN),$(VECBRIDGE_TEST_MILVUS_TOKEN))
test-milvus: export VECBRIDGE_TEST_MILVUS_DB := $(or $(DB),$(VECBRIDGE_TEST_MILVUS_DB))
test-milvus: $(DEV_ENV) ## The live tests and the suite on a Milvus of yours: URI=http://... [TOKEN=...] [DB=...]
	@test -n "$$VECBRIDGE_TEST_MILVUS_URI" || { echo "say where it is: make test-milvus URI=http://127.0.0.1:19530"; exit 1; }
	@# The suite is run also where a test failed: its report says what of the contract holds.
	@failed=0; $(BIN)/python -m pytest tests/live || failed=1; \
		$(BIN)/python -m tools.conformance milvus-given --report build/milvus-given || failed=1; \
		exit $$failed

.PHONY: record-milvus
record-milvus: export VECBRIDGE_TEST_MILVUS_URI := $(or $(URI),$(VECBRIDGE_TEST_MILVUS_URI))
record-milvus: $(DEV_ENV) ## What a Milvus of yours is asked and answers: URI=http://... TO=FILE [SUITE=1]
	@$(BIN)/python -m tools.milvus_transcript record $(if $(SUITE),--suite) $(or $(TO),build/milvus.transcript.gz)

.PHONY: replay-milvus
replay-milvus: $(DEV_ENV) ## The tests of a recording, without the server: FROM=FILE
	@$(BIN)/python -m tools.milvus_transcript replay $(or $(FROM),build/milvus.transcript.gz)

.PHONY: test-pymilvus
test-pymilvus: $(DEV_ENV) ## The live Milvus tests on older releases of pymilvus
	@$(BIN)/python -m tools.pymilvus_overlay

.PHONY: test-brain
test-brain: $(DEV_ENV) ## The live FiftyOne tests with newer releases of fiftyone-brain (BRAIN=0.27.0)
	@$(BIN)/python -m tools.fiftyone_overlay $(BRAIN)

.PHONY: test-upstream
test-upstream: export VECBRIDGE_UPSTREAM_FILES := $(FILES)
test-upstream: $(DEV_ENV) ## FiftyOne's own tests of similarity, on every store: FILES="test_similarity.py ..."
	@$(BIN)/python -m pytest tests/upstream -m upstream -s

.PHONY: test-lowest
test-lowest: $(DEV_ENV) ## The unit tests on the oldest versions that are allowed (LEG_PYTHON=python3.10)
	@$(BIN)/python -m tools.version_leg lowest $(if $(LEG_PYTHON),--python $(LEG_PYTHON))

.PHONY: test-newest
test-newest: $(DEV_ENV) ## The unit tests on the newest versions there are (LEG_PYTHON=python3.13)
	@$(BIN)/python -m tools.version_leg newest $(if $(LEG_PYTHON),--python $(LEG_PYTHON))

.PHONY: test-extras
test-extras: $(DEV_ENV) ## Each extra of the wheel, alone in an environment of its own
	@$(BIN)/python -m pytest tests/packaging/test_extras.py -m extras

.PHONY: lint
lint: $(DEV_ENV) ## Style, import contracts and changelog fragments
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check --quiet $(SOURCES) || { echo "run: make format"; exit 1; }
	@$(BIN)/lint-imports --no-logo --no-cache
	@$(BIN)/towncrier build --draft --version next &>/dev/null || { echo "changelog.d is not sound: make changelog"; exit 1; }

.PHONY: changelog
changelog: $(DEV_ENV) ## What the next release will say
	@$(BIN)/towncrier build --draft --version next

.PHONY: release
release: $(DEV_ENV) ## Build and check what a release would be, into dist/ (REPOSITORY=OWNER/NAME)
	@$(BIN)/python -m tools.release $(if $(REPOSITORY),--repository $(REPOSITORY))

.PHONY: format
format: $(DEV_ENV) ## Format and repair what can be
	@$(BIN)/ruff check --fix --quiet $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

.PHONY: types
types: $(DEV_ENV) ## mypy --strict and pyright
	@$(BIN)/mypy
	@$(BIN)/pyright --warnings

.PHONY: docs
docs: $(DEV_ENV) ## Build the documentation into site/
	@# Not --quiet: it hides warnings from --strict.
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict 2>&1 | sed '/^INFO/d; /^$$/d'
	@echo "documentation: site/index.html"

.PHONY: features
features: $(DEV_ENV) ## FiftyOne's features and pages on every store; writes the table, FiftyOne's own in it
	@VECBRIDGE_FEATURES_PAGE=docs/reference/fiftyone-features.md $(BIN)/python -m pytest \
		tests/live/fiftyone/test_features.py tests/live/fiftyone/test_integration_page.py --no-showlocals

.PHONY: foreign-tables
foreign-tables: $(DEV_ENV) ## Write tests/data/tables by pandas, polars, Arrow, datasets and Spark (needs Java)
	@$(PIP) install --group foreign-tables
	@$(BIN)/python -m tools.foreign_tables tests/data/tables

.PHONY: filters
filters: $(DEV_ENV) ## 50 000 random filters on every deployment, and how much was pushed down (STORES="faiss-flat")
	@$(BIN)/python -m tests.filters $(STORES)

.PHONY: neighbours
neighbours: $(DEV_ENV) ## Run the suite on FiftyOne's own backends, and write the page (hours)
	@$(BIN)/python -m tests.neighbours

.PHONY: bench
bench: $(DEV_ENV) ## Measure against peers and limits, and write the page (BENCH="sweep faiss")
	@$(PIP) install --group bench
	@$(BIN)/python -m benchmarks.run $(BENCH)

.PHONY: conformance
conformance: $(DEV_ENV) ## The whole suite on every deployment, and the published matrix (ONLY="sklearn-disk")
	@$(BIN)/python -m tools.conformance $(ONLY)

.PHONY: clean
clean: ## Remove the environment and everything that was built
	@rm -rf .venv .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist site demo-output
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info; v >= (3, 10) or sys.exit(f"vecbridge needs Python 3.10 or newer; {sys.executable} is {v[0]}.{v[1]}. Name another: make PYTHON=/path/to/python3")'
	@echo "making the environment in .venv (two or three minutes, once)"
	@$(PYTHON) -m venv .venv
	@$(call retry,$(PIP) install --upgrade 'pip>=25.1')

$(USER_ENV): pyproject.toml | $(BIN)/python
	@$(call retry,$(PIP) install --editable '.[all]')
	@$(BIN)/python tools/ensure_mongod.py
	@touch $@

$(DEV_ENV): $(USER_ENV)
	@$(call retry,$(PIP) install --editable '.[$(DEV_EXTRAS)]' --group dev)
	@# Without the seven plugins of pytest that it asks for and its tests of stores do not need.
	@$(call retry,$(PIP) install --no-deps 'langchain-tests~=1.1')
	@touch $@
