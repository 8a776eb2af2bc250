# All installations are inside this folder: .venv*/ for Python, node_modules/ for the CDK CLI, .cache/.
# Prerequisites: Python >= 3.11 (make PYTHON=... selects one other than python3), Node >= 20.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

PYTHON ?= python3
BIN := .venv/bin
UV := $(BIN)/uv

# The CDK prints long warnings about all but one or two versions of Node.
export AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED := true
export JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION := 1
export JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION := 20,21,22,23
export JSII_SILENCE_WARNING_UNTESTED_NODE_VERSION := 1
# Some containers set this; then each synthesis compiles the CDK's large modules again (7 of 13 seconds).
unexport PYTHONDONTWRITEBYTECODE

# Caches are in this folder too, because the home folder can be read-only. Only the hashes that the CDK library keeps in
# ~/.cdk cannot be moved; the library works without them if it cannot write.
export UV_CACHE_DIR ?= $(CURDIR)/.cache/uv
export PIP_CACHE_DIR ?= $(CURDIR)/.cache/pip
export npm_config_cache ?= $(CURDIR)/.cache/npm
export JSII_RUNTIME_PACKAGE_CACHE_ROOT ?= $(CURDIR)/.cache/jsii
export CDK_HOME ?= $(CURDIR)/.cache/cdk

# uv uses the machine's list of trusted certificates, if there is one, which a corporate proxy requires.
ifneq ($(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem),)
export UV_SYSTEM_CERTS ?= 1
endif

.PHONY: help
help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: .venv/.ready .venv-aws/.ready .venv-lambda/.ready node_modules/.ready ## install everything into this folder (other targets do this when needed)

# Two more than the number of cores: the two groups of tests on a deployed stack wait half of the time.
WORKERS ?= $(shell expr $$(getconf _NPROCESSORS_ONLN) + 2)

.PHONY: test
test: lint ## run what CI runs: all checks, and all tests (including those on the embedded AWS)
	@mkdir -p .build
	@# mypy takes one core for a minute. In parallel with the tests, which wait at times, it costs less.
	@$(types) > .build/types.log 2>&1 & types=$$!; \
	failed=0; $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder || failed=$$?; \
	wait $$types || { failed=$$?; cat .build/types.log; }; exit $$failed

.PHONY: shuffle
shuffle: setup ## run all tests in random orders, to find dependencies between them (RUNS=20, SEED=first seed, TESTS=paths)
	@first=$(or $(SEED),$$(date +%s)); \
	for seed in $$(seq $$first $$((first + $(or $(RUNS),20) - 1))); do \
		echo "Order: SEED=$$seed"; \
		$(BIN)/pytest -p randomly --randomly-seed $$seed $(or $(TESTS),tests) \
			--numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder -q --no-header; done

.PHONY: coverage
coverage: setup ## measure the branch coverage of core/ and of the rest
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest --numprocesses auto --dist loadfile -q --no-header --ignore tests/e2e
	@$(BIN)/coverage combine --quiet
	@$(BIN)/coverage report --include '*/remediator/core/*' --fail-under 100
	@$(BIN)/coverage report --omit '*/remediator/core/*' --fail-under 95

.PHONY: chaos
chaos: setup ## inject all failures into every call, run thousands of schedules and damaged inputs (an hour)
	@CHAOS_DISTURBANCES=0 CHAOS_SCHEDULES=5000 CHAOS_LAGGING=1000 CHAOS_GENERATED=100000 \
		$(BIN)/pytest tests/chaos --numprocesses auto --dist worksteal -q --show-capture=no

.PHONY: mutate
mutate: setup ## mutate core/, and list the mutants that the tests miss (MUTANTS=..., SEED=..., RESULTS=file, JSON=file)
	@$(BIN)/python -m tests.chaos.mutation --mutants $(or $(MUTANTS),100) --seed $(or $(SEED),1) \
		$(RESULTS:%=--results %) $(JSON:%=--json %)

.PHONY: check
check: lint ## check lint rules, formatting, import layers, words and types
	@$(types)

.PHONY: lint
lint: setup
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@PYTHONPATH=lambda_src:cli $(BIN)/lint-imports --no-logo
	@$(BIN)/python -m tests.words

types := $(BIN)/mypy --exclude '^cdk\.out/' .

.PHONY: structure
structure: setup ## print code metrics: packages, lines, types, line widths, complexity
	@$(BIN)/python -m tests.structure

.PHONY: format
format: setup ## fix lint findings where possible, and format
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

.PHONY: demo
demo: setup ## break roles on an embedded AWS, and watch the repairs
	@$(BIN)/python -m demo.story

.PHONY: playground
playground: setup ## start an embedded AWS to break roles by hand
	@$(BIN)/python -m demo.playground

.PHONY: playground-mail
playground-mail: setup ## print the alerts of the playground
	@$(BIN)/python -m demo.playground mail

.PHONY: playground-stop
playground-stop: setup ## stop the playground
	@$(BIN)/python -m demo.playground stop

.PHONY: picture
picture: setup ## record the terminal session that the README shows (docs/images/session.svg)
	@$(BIN)/python -m demo.picture

.PHONY: bench
bench: setup ## run all benchmarks: repair, cold start, sweep, evaluation and load
	@mkdir -p .build
	@$(BIN)/python -m benchmarks $(ROLES:%=--roles %) $(EVENTS:%=--events %) --json .build/bench.json

.PHONY: load
load: setup ## run the load test on an embedded AWS (ROLES=300 EVENTS=2000)
	@mkdir -p .build
	@$(BIN)/python -m benchmarks.load $(ROLES:%=--roles %) $(EVENTS:%=--events %) --json .build/load.json

.PHONY: synth
synth: setup ## write the CloudFormation templates to cdk.out/
	@npx --no-install cdk synth --quiet

.PHONY: lock
lock: .venv/.ready ## update the lock files of requirements*.in and package.json
	@$(compile) requirements.in --output-file requirements.txt
	@$(compile) requirements-dev.in --output-file requirements-dev.txt
	@$(compile) $(RUNTIME_BRINGS:%=--no-emit-package %) lambda_src/requirements.in --output-file lambda_src/requirements.txt
	@$(compile) demo/requirements-aws.in --output-file demo/requirements-aws.txt
	@$(compile) demo/requirements-lambda.in --output-file demo/requirements-lambda.txt
	@npm install --package-lock-only --loglevel=error

compile := $(UV) pip compile --quiet --universal --generate-hashes --python-version 3.11 --custom-compile-command 'make lock'
# botocore and the packages that only botocore needs: Lambda's Python runtime has them, so the zip does not.
RUNTIME_BRINGS := botocore python-dateutil six urllib3

.PHONY: clean
clean: ## remove everything installed and built (stops a running playground)
	@if [ -d .playground ] && [ -x $(BIN)/python ]; then $(BIN)/python -m demo.playground stop; fi
	@rm -rf .venv .venv-aws .venv-lambda node_modules .cache cdk.out .build .playground
	@rm -rf .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis .coverage htmlcov

# --- installations; a stamp file marks a folder as complete ---

# $(call needs,program,minimum,how to select another,command that fails if it is older,command that prints its version)
define needs
@if ! command -v $(1) >/dev/null; then echo "$(2) or newer is required, but '$(1)' was not found. $(3)" >&2; exit 1; fi; \
if ! $(4); then echo "$(2) or newer is required, but '$(1)' ($$(command -v $(1))) is $$($(5)). $(3)" >&2; exit 1; fi
endef

define tools
$(call needs,$(PYTHON),Python 3.11,Select another one with: make PYTHON=/path/to/python3.11 ...,\
$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))',$(PYTHON) --version 2>&1)
$(call needs,node,Node 20,Install it (nodejs.org) or put it first on the PATH.,\
node -e 'process.exit(parseInt(process.versions.node) >= 20 ? 0 : 1)',node --version)
endef

.venv/.ready: requirements-dev.txt
	$(tools)
	@echo "· .venv: packages for building, testing and deploying"
	@if ! $(UV) --version >/dev/null 2>&1; then \
		$(PYTHON) -m venv --clear .venv; \
		awk '/^[^ ]/ { wanted = /^uv==/ } wanted' $< > .venv/uv.txt; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement .venv/uv.txt; \
	fi
	@$(UV) pip sync --quiet --require-hashes --python $(BIN)/python $<
	@touch $@

.venv-aws/.ready: demo/requirements-aws.txt | .venv/.ready
	@echo "· .venv-aws: the embedded AWS"
	$(private_environment)

.venv-lambda/.ready: demo/requirements-lambda.txt | .venv/.ready
	@echo "· .venv-lambda: the Lambda runtime of the embedded AWS"
	$(private_environment)

define private_environment
@$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
@$(UV) pip sync --quiet --require-hashes --compile-bytecode --python $(@D)/bin/python $<
@touch $@
endef

node_modules/.ready: package.json package-lock.json .npmrc | .venv/.ready
	@echo "· node_modules: the CDK CLI"
	@npm ci --loglevel=error
	@touch $@
