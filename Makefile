# One command for each thing one does here; `make help` lists them. Needs Python >= 3.11 and nothing else:
# `make test` also runs a real Kafka broker when Java >= 17 and Maven are there, and says so when they are not.

VENV ?= .venv
BIN := $(VENV)/bin
# The first interpreter that is new enough; override with `make PYTHON=/path/to/python3.12 setup`.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
ARGS ?=
# Tests run in one process per core and one more, each with a broker of its own when it needs one: so not in too many.
PROCESSES := -n auto --maxprocesses 8 --dist worksteal
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help setup demo test check lint types mypy pyright format bench docs build clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(VENV)/.run ## install, then a banana market on an in-process Kafka and a shell to query it
	$(BIN)/streamsql demo $(ARGS)

test: $(VENV)/.dev ## install, then all tests (ARGS="-k tumble" selects, ARGS="-n 0": in one process); STREAMSQL_REQUIRE=kafka insists on a broker
	$(BIN)/python -m pytest $(PROCESSES) $(ARGS)

setup: $(VENV)/.dev ## create .venv with everything that development needs

check: lint types test ## everything that must pass before a commit

lint: $(VENV)/.dev ## formatting and lint
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: mypy pyright ## both

mypy: $(VENV)/.dev ## types as mypy sees them
	$(BIN)/mypy

pyright: $(VENV)/.dev ## types as pyright sees them
	$(BIN)/pyright --pythonpath $(BIN)/python

format: $(VENV)/.dev ## format the code and fix what lint can fix
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .

bench: $(VENV)/.dev ## benchmarks, each beside batch DuckDB on the same data (ARGS selects)
	$(BIN)/python -m pytest -m bench -s --timeout 0 tests/bench $(ARGS)

docs: $(VENV)/.dev ## write the pages of docs/ that are generated from the code
	$(BIN)/python docs/generate.py

build: $(VENV)/.dev ## wheel and source distribution into dist/
	$(BIN)/python -m build

clean: ## remove .venv, caches and build output
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are written last, so an interrupted installation is repeated; a changed pyproject.toml installs again.
$(VENV)/.run: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable .
	touch $@

$(VENV)/.dev: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install --quiet --editable '.[dev]'
	touch $@ $(VENV)/.run

$(BIN)/python:
	@test -n "$(PYTHON)" || { echo "streamsql needs Python >= 3.11, and none is on PATH" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
