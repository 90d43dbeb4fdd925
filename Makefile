# Every recipe is what a developer types; CI calls the same ones.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
UV      = $(BIN)/uv pip install -q --python $(BIN)/python
UV_VERSION := 0.13.9

.DEFAULT_GOAL := help
.PHONY: help install install-dev lock demo serve test test-matrix check fix bench clean

help:  ## show the recipes
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

$(BIN)/uv:
	@echo "· making the virtual environment in $(VENV)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION)

$(VENV)/.installed: $(BIN)/uv requirements.lock pyproject.toml
	@echo "· installing the locked packages"
	@$(UV) --require-hashes -r requirements.lock
	@$(UV) --no-deps -e .
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed requirements-dev.lock
	@echo "· installing the development packages"
	@$(UV) --require-hashes -r requirements-dev.lock
	@touch $@

install: $(VENV)/.installed  ## install the product into .venv
install-dev: $(VENV)/.installed-dev  ## and what its tests need

lock: $(BIN)/uv  ## renew the lock files
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 \
	  --no-emit-index-url --generate-hashes --no-header -q -o requirements.lock
	@$(BIN)/uv pip compile pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  -c requirements.lock --no-emit-index-url --generate-hashes --no-header -q -o requirements-dev.lock
