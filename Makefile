# Two commands suffice to start: make demo, make test.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
MAKEFLAGS += --no-builtin-rules --no-print-directory
.DELETE_ON_ERROR:

PYTHON ?= python3
# More arguments for demo, test, faults, bench and pins: make test ARGS="-k masked"
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
FIGURES := build/faults

# Versions younger than three days are left alone: bad ones are mostly withdrawn by then.
COMPILE := CUSTOM_COMPILE_COMMAND="make pins" $(BIN)/pip-compile --quiet --generate-hashes \
	--strip-extras --allow-unsafe --no-emit-index-url --no-emit-trusted-host \
	--no-emit-find-links --no-emit-options --pip-args="--uploaded-prior-to=P3D" $(ARGS)
PROTOS := $(patsubst proto/%,%,$(wildcard proto/*/v1/*.proto proto/*/*/v1/*.proto))
# $(call stubs,FOLDER) writes the generated code of all protos below FOLDER.
stubs = PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -I proto --python_out=$(1) \
	--grpc_python_out=$(1) --mypy_out=quiet:$(1) --mypy_grpc_out=quiet:$(1) $(PROTOS)

.PHONY: help setup demo test lint proto proto-check policy faults bench pins clean

help: ## List what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(READY) ## Make .venv with the pinned, hash-checked packages and the project itself
	@echo "setup: $(VENV) is ready"

demo: $(READY) ## Start both services and play the story of the 2011 deck on real documents
	@$(BIN)/dmp demo $(ARGS)

test: $(READY) ## Run all tests but the long forms
	@$(BIN)/pytest -n auto --dist worksteal -m "not slow" $(ARGS)

lint: $(READY) proto-check ## Check style, types, import contracts, spelling and generated code
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/codespell

proto: $(READY) ## Generate the stubs again, after a change in proto/
	@$(call stubs,.)
	@echo "proto: stubs written"

proto-check: $(READY) ## Check that the stubs are those of the protos
	@tmp=$$(mktemp -d); trap 'rm -rf "$$tmp"' EXIT; mkdir "$$tmp/fresh" "$$tmp/here"; \
	$(call stubs,"$$tmp/fresh"); \
	tar -cf - $(wildcard */v1/*_pb2* */*/v1/*_pb2*) 2>/dev/null | tar -xf - -C "$$tmp/here" || :; \
	diff -r "$$tmp/fresh" "$$tmp/here" >&2 \
	  && echo "proto: stubs are fresh" \
	  || { echo "proto: stubs differ from the protos: run make proto" >&2; exit 1; }

policy: $(READY) ## Check the policies and run their scenarios
	@$(BIN)/dmp policy check
	@$(BIN)/dmp policy test

faults: $(READY) ## Run the long forms: kills, faults, races, large random samples (faster with ARGS="-n 2")
	@rm -rf $(FIGURES)
	@DMP_FAULTS="$(CURDIR)/$(FIGURES)" $(BIN)/pytest -m slow --timeout 1800 $(ARGS)
	@$(BIN)/python -m tests.faults.figures $(FIGURES)

bench: $(READY) ## Measure against the peers, side by side in one run
	@$(BIN)/python -m bench $(ARGS)

pins: $(READY) ## Pin again, after a change to the dependencies (newer ones: ARGS=--upgrade)
	$(COMPILE) --output-file requirements/run.txt pyproject.toml
	$(COMPILE) --output-file requirements/dev.txt requirements/dev.in

clean: ## Remove what tests, linters and builds left behind; .venv and var stay
	@rm -rf build dist .coverage .hypothesis .import_linter_cache .grimp_cache .mypy_cache \
	  .pytest_cache .ruff_cache
	@find . -path ./$(VENV) -prune -o -name __pycache__ -type d -exec rm -rf {} +

$(READY): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "setup: $(PYTHON) is no Python 3.11 or later: make setup PYTHON=python3.11" >&2; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "setup: $$(grep -c == requirements/dev.txt) packages into $(VENV), the first time a minute or two"
	@$(BIN)/python -m pip install --disable-pip-version-check --require-hashes \
	  --requirement requirements/dev.txt \
	  | awk '/^Collecting/ { printf "." } /^Installing/ { printf " installing" } { fflush() } END { print "" }'
	@$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $@
