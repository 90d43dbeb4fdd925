# Every recipe is what a developer types; CI calls the same ones.
PYTHON  ?= python3
VENV    ?= .venv
BIN     := $(VENV)/bin
# Compiled while installing, as pip does: the first start need not.
UV       = $(BIN)/uv pip install -q --compile-bytecode --python $(BIN)/python
UV_VERSION := 0.13.9
# Test processes at once; each has its own database.
WORKERS ?= 2
SUITE   ?= all
# What the console and the widget are built from; Vite writes to DIST.
WEB     := $(wildcard web/package.json)
DIST    := src/teachback/server/console/static/dist
WEB_SOURCES := $(shell find web -name node_modules -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help install install-dev lock web demo test test-matrix check check-web fix browser bench clean

help:  ## show the recipes
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/uv:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "Teachback needs Python 3.11 to 3.13, and $(PYTHON) is another: make $(MAKECMDGOALS) PYTHON=python3.13"; exit 1; }
	@echo "· making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed: $(BIN)/uv requirements.lock pyproject.toml packages/teachback-minilm/pyproject.toml
	@echo "· installing the locked packages"
	@$(UV) --require-hashes -r requirements.lock
	@$(UV) --no-deps -e packages/teachback-minilm -e .
	@$(BIN)/python -m compileall -q src
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "· installing the development packages"
	@$(UV) --require-hashes -r requirements-dev.lock
	@touch $@

web/node_modules/.package-lock.json: $(wildcard web/package-lock.json)
	@echo "· installing the packages of the front end"
	@cd web && npm ci --no-audit --no-fund --loglevel=error
	@touch $@

$(DIST)/.built: web/node_modules/.package-lock.json $(WEB_SOURCES)
	@echo "· building the console's elements and the widget"
	@cd web && npm run --silent build
	@touch $@

install: $(VENV)/.installed web  ## install the product into .venv
install-dev: $(VENV)/.installed-dev web  ## and what its tests need
web: $(if $(WEB),$(DIST)/.built)  ## build the console's elements and the widget

lock: $(BIN)/uv  ## renew the lock files
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-emit-index-url --generate-hashes --no-header -q -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  -c requirements.lock --no-emit-index-url --generate-hashes --no-header -q -o requirements-dev.lock

demo: install  ## run the product with its demo and print a browser address
	@$(BIN)/teachback demo

check: install-dev check-web  ## format, lint, types, imports, sizes, dead code
	@$(BIN)/ruff format --check --quiet . || { echo "· not formatted: run make fix"; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/pytest -q tests/test_architecture.py

check-web: $(if $(WEB),web/node_modules/.package-lock.json)
	@$(if $(WEB),cd web && npm run --silent --if-present check,:)

fix: install-dev  ## format, and mend what can be mended by a tool
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format --quiet .

browser:  ## find a Chromium for the browser tests, or install Debian's (as root)
	@for name in chromium chromium-browser google-chrome; do \
	  command -v $$name >/dev/null && exit 0; done; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "· installing Chromium for the browser tests"; \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -qq --no-install-recommends chromium >/dev/null; \
	else echo "· no Chromium found: browser tests will be skipped; install the package chromium"; fi

test: check browser  ## everything a change must pass
	@$(BIN)/pytest -q -n $(WORKERS) --dist loadfile

test-matrix: install-dev browser  ## other PostgreSQL versions, a pooler, long faults, whole benchmarks
	@$(BIN)/python tests/matrix/run.py

bench: install  ## measure; SUITE=ingest for one suite
	@$(BIN)/teachback bench $(SUITE)

clean:  ## remove what the recipes made
	@rm -rf $(VENV) web/node_modules $(DIST) build dist .*_cache .hypothesis
	@find . -name __pycache__ -prune -exec rm -rf {} +
