# Everything runs in .venv, which is made and filled on first use. Needs Python 3.11+ and make.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEV_STAMP := $(VENV)/.installed-dev
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: help run demo test fast check format lint types contracts unit soak coverage bench bench-full picture inbox-pictures e2e containers clean

help:  ## Show what can be made.
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

$(VENV)/pyvenv.cfg:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "claude-mailbox needs Python 3.11 or newer: make PYTHON=/path/to/python3"; exit 1; }
	$(PYTHON) -m venv $(VENV)
# Scripts made by older versions of pip start more slowly, and they know no dependency groups.
	$(PIP) install --quiet --upgrade 'pip>=25.1'

$(STAMP): $(VENV)/pyvenv.cfg pyproject.toml constraints.txt
	$(PIP) install --quiet --constraint constraints.txt --editable .
# Byte code is written once, here: some environments forbid Python to do it on the fly.
	$(BIN)/python -m compileall -q mailbox
	@touch $(STAMP)

$(DEV_STAMP): $(STAMP)
	$(PIP) install --quiet --constraint constraints.txt --group dev
	@touch $(DEV_STAMP)

run: $(STAMP)  ## Start the daemon in the foreground.
	@echo "Then, in other terminals, for example:"
	@echo "  $(BIN)/claude-mailbox watch --block --name bob"
	@echo "  $(BIN)/claude-mailbox send --from alice --to bob --body 'Hello'"
	@echo "  $(BIN)/claude-mailbox list"
	@echo "Ctrl-C stops it."
	@$(BIN)/claude-mailbox serve

demo: $(STAMP)  ## Watch two peers coordinate, in a throw-away home.
	@$(BIN)/claude-mailbox demo

test: check unit  ## Run everything: format, lint, types, import contracts, tests.

check: format-check lint types contracts

format: $(DEV_STAMP)  ## Format the code.
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: format-check
format-check: $(DEV_STAMP)
	$(BIN)/ruff format --check .

lint: $(DEV_STAMP)
	$(BIN)/ruff check .

types: $(DEV_STAMP)
	$(BIN)/mypy

contracts: $(DEV_STAMP)
	$(BIN)/lint-imports

# More processes than cores: tests with real daemons spend much of their time waiting. Each of them
# reads the tests as the last run has compiled them, also where Python is told to keep no byte code.
unit: $(DEV_STAMP)
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --numprocesses 4 --dist worksteal

fast: $(DEV_STAMP)  ## Run the tests that start no processes.
	$(BIN)/python -m pytest -m fast --numprocesses 2 --dist worksteal

SECONDS ?= 300
CALLS ?= 10000
soak: $(DEV_STAMP)  ## Fail the disk, cut the power, and everything that can befall daemons on one PostgreSQL, at random, for SECONDS=300; make CALLS=10000 by the OpenAPI document.
	PYTHONPATH=tests $(BIN)/python -m crash.soak --seconds $(SECONDS)
	PYTHONPATH=tests $(BIN)/python -m crash.soak_sharing --seconds $(SECONDS)
	PYTHONPATH=tests $(BIN)/python -m openapi.fuzz --calls $(CALLS)

coverage: $(DEV_STAMP)  ## Run the tests and show which branches they miss.
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest --numprocesses 4 --dist worksteal
	$(BIN)/coverage combine --quiet
	$(BIN)/coverage report

bench: $(STAMP)  ## Measure, in under two minutes.
	$(BIN)/python -m bench

bench-full: $(STAMP)  ## Measure everything, with large backlogs.
	$(BIN)/python -m bench --scale full

picture: $(STAMP)  ## Draw the picture in the README again, from a real run.
	$(BIN)/python docs/picture.py

inbox-pictures: $(DEV_STAMP)  ## Photograph the web inbox for the README again; needs Chromium.
	$(BIN)/python docs/inbox_pictures.py

e2e: $(DEV_STAMP)  ## Drive Claude Code and other real clients, offline.
	tests/e2e/run

containers: $(DEV_STAMP)  ## Build the image, and run the recipes for containers with Podman, as root.
	tests/containers/run

clean:  ## Remove what was made here.
	rm -rf $(VENV) dist build .import_linter_cache .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage .coverage.* bench/results/local*
	find . \( -name __pycache__ -o -name node_modules \) -type d -prune -exec rm -rf {} +
