# Everything a developer does here, with its own set-up. `make help` lists it.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help

PYTHON ?= $(shell for candidate in python3.13 python3.12 python3.11 python3; do \
	$$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$candidate; break; }; done)
PORT ?= 8000
VENV := .venv
BIN := $(VENV)/bin
# A lock names every package there is to install: resolving again could only disagree with it.
PIP_INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --no-deps

# A test worker needs a core and a little more; on one core two of them still overlap waiting and computing.
CORES := $(shell getconf _NPROCESSORS_ONLN)
JOBS ?= $(shell echo $$(( $(CORES) > 3 ? $(CORES) / 2 : 2 )))

# Chromium of the system: browser tests use it rather than download one.
CHROMIUM := $(shell command -v chromium || command -v chromium-browser || command -v google-chrome)
DEBIAN_ROOT := $(shell [ -f /etc/debian_version ] && [ "$$(id -u)" = 0 ] && echo yes)

.PHONY: help
help: ## List what can be made
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{ printf "  %-10s %s\n", $$1, $$2 }'

# --- Set-up: each step leaves a stamp, so that it runs again only when what it depends on has changed ---------------------

$(VENV)/.made:
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11 or newer is needed; none is on the PATH. Set PYTHON= to one." >&2; exit 1; fi
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { \
		if [ "$(DEBIAN_ROOT)" = yes ]; then apt-get update -qq && apt-get install -qq -y python3-venv >/dev/null; \
		else echo "$(PYTHON) cannot make virtual environments; install its venv module (on Debian: python3-venv)." >&2; exit 1; fi; }
	@echo "Making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.runtime: requirements.lock | $(VENV)/.made
	@echo "Installing the locked packages"
	@$(PIP_INSTALL) -r requirements.lock
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml setup.py | $(VENV)/.made
	@echo "Installing the locked packages and tools"
	@$(PIP_INSTALL) -r requirements-dev.lock
	@PYTHONWARNINGS=ignore $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --no-index -e .
	@touch $@ $(VENV)/.runtime

$(VENV)/.chromium: | $(VENV)/.made
	@if [ -z "$(CHROMIUM)" ] && [ "$(DEBIAN_ROOT)" = yes ]; then \
		echo "Installing Chromium for the browser tests"; \
		apt-get update -qq && apt-get install -qq -y --no-install-recommends chromium >/dev/null; fi
	@touch $@

.PHONY: install
install: $(VENV)/.dev ## Make .venv with everything, and the command `nagare` in it

.PHONY: lock
lock: install ## Write the lock files anew from pyproject.toml, within what they allow
	@for output in "requirements.lock" "requirements-dev.lock --extra dev --constraint requirements.lock"; do \
		$(BIN)/python -m piptools compile --quiet --generate-hashes --allow-unsafe --strip-extras --no-header --no-annotate \
			--no-emit-index-url --no-emit-find-links --no-emit-trusted-host pyproject.toml --output-file $$output; done

# --- Running -------------------------------------------------------------------------------------------------------------

.PHONY: demo
demo: $(VENV)/.runtime ## Start the dashboard, filled with demo runs, on 127.0.0.1 (PORT=8000)
	@exec $(BIN)/python manage.py demo --serve --port $(PORT)

# --- Checking ------------------------------------------------------------------------------------------------------------

# What only reads runs side by side, each one's output in one piece; a make that cannot keep it so takes them in turn.
BESIDE := $(if $(filter output-sync,$(.FEATURES)),--jobs=$(JOBS) --output-sync=target)

.PHONY: test
test: install ## Everything: lint, types, imports, checks, tests, browser
	@$(MAKE) --no-print-directory $(BESIDE) lint types imports checks
	@$(MAKE) --no-print-directory tests e2e

.PHONY: unit
unit: install ## The quick tests
	@$(BIN)/python -m pytest -m "not e2e and not slow" --quiet

# The tests start servers of their own. What is not installed and cannot be is skipped by name.
SERVER_PACKAGES := postgresql mariadb-server redis-server libmariadb-dev pkg-config gcc python3-dev \
	libpangoft2-1.0-0 fonts-dejavu-core poppler-utils

$(VENV)/.servers: requirements-mysql.lock | $(VENV)/.dev
	@if [ "$(DEBIAN_ROOT)" = yes ] && ! dpkg -s $(SERVER_PACKAGES) >/dev/null 2>&1; then \
		echo "Installing PostgreSQL, MariaDB and Redis for the tests, and what lays out PDFs"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(SERVER_PACKAGES) >/dev/null; fi
	@if pkg-config --exists mysqlclient libmariadb mariadb 2>/dev/null || command -v mariadb_config mysql_config >/dev/null; then \
		$(PIP_INSTALL) --no-deps -r requirements-mysql.lock; \
	else echo "The driver for MariaDB is not built: its headers are missing (on Debian libmariadb-dev)." >&2; fi
	@touch $@

.PHONY: servers
servers: $(VENV)/.servers ## PostgreSQL, MariaDB and Redis for the tests to start (installs them on Debian as root)

.PHONY: tests
tests: install servers ## All tests that need no browser, in parallel (DATABASE=postgresql: on another database)
	@NAGARE_TEST_DATABASE=$(DATABASE) $(BIN)/python -m pytest -m "not e2e" --quiet -n $(JOBS) --dist loadgroup

.PHONY: e2e
e2e: install $(VENV)/.chromium ## The browser tests, with the system's Chromium, in parallel (DATABASE=postgresql: on that and Redis)
	@if command -v chromium chromium-browser google-chrome >/dev/null; then \
		NAGARE_TEST_DATABASE=$(DATABASE) $(BIN)/python -m pytest tests/e2e --quiet -n $(JOBS) --dist loadgroup; \
	else echo "SKIPPED: browser tests, as there is no Chromium here. Install one (on Debian: chromium)." >&2; fi

.PHONY: cover
cover: install ## The tests, with the lines and branches they miss
	@$(BIN)/python -m pytest -m "not e2e" --quiet -n $(JOBS) --cov --cov-report=term-missing:skip-covered

.PHONY: lint
lint: install ## Style of Python, templates and prose
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet .
	@git ls-files -z --cached --others --exclude-standard 'templates/*.html' | xargs -0 $(BIN)/djade --check --target-version 5.2
	@$(BIN)/codespell

.PHONY: types
types: install ## Types, strictly
	@$(BIN)/mypy

.PHONY: imports
imports: install ## The direction of imports
	@$(BIN)/lint-imports --no-logo

.PHONY: checks
checks: install ## Django's checks for a deployment, and that no migration is missing
	@scratch=$$(mktemp -d); trap 'rm -rf "$$scratch"' EXIT; export NAGARE_DATA_DIR="$$scratch"; \
	$(BIN)/python manage.py check --deploy --fail-level WARNING; \
	$(BIN)/python manage.py makemigrations --check --dry-run

.PHONY: docs
docs: install ## That the documentation is complete and its code blocks run
	@$(BIN)/python -m pytest tests/docs --quiet

.PHONY: fmt
fmt: install ## Put Python and templates into shape
	@$(BIN)/ruff check --fix --quiet . || true
	@$(BIN)/ruff format --quiet .
	@git ls-files -z --cached --others --exclude-standard 'templates/*.html' | xargs -0 $(BIN)/djade --target-version 5.2

.PHONY: clean
clean: ## Remove what the tools made, but neither .venv nor var
	@rm -rf .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .coverage build ./*.egg-info
