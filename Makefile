# Needs Python 3.11 or later and make, nothing else. `make` alone lists the targets.

PYTHON ?= python3
# Test processes. Servers start once per process, so more than there are cores costs more than it gains.
WORKERS ?= 2
# Anything for pytest: make test PYTEST_ARGS='-k ledger -x'
PYTEST_ARGS ?=

comma := ,
VENV := .venv
BIN := $(VENV)/bin
FULL := $(VENV)/.installed-full
DEMO := $(VENV)/.installed-demo
BENCH := $(VENV)/.installed-bench
PINS := pyproject.toml setup.cfg constraints.txt

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help install demo test test-deploy soak lint bench pigz screenshots format clean

help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(firstword $(MAKEFILE_LIST)) | awk -F'|' '{ printf "%-18s %s\n", $$1, $$2 }'

install: $(FULL) ## Make .venv with everything: runtime, demo, tests, linters

demo: $(DEMO) ## Run the whole thing here: S3 server, data, Dagster (ONCE=1: check it and end)
	$(BIN)/s3-assets demo $(if $(ONCE),--once) $(if $(DIRECTORY),--directory $(DIRECTORY))

test: lint ## Lint, type-check and run all tests
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

test-deploy: $(FULL) ## Try what is in deploy/: by the programs that read it, and live where they run here
	$(call pip-install,demo$(comma)dev$(comma)deploy$(comma)deploy-test)
	$(BIN)/python -m pytest -m deploy -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS) s3_assets_tests/deploy

soak: $(FULL) ## Try hard to lose or double a row: histories, kills, races, a live deployment (SHARE=0.2 is a fifth)
	S3_ASSETS_SOAK=$(or $(SHARE),1) $(BIN)/python -m pytest -m 'soak or scaled' -rP --durations=30 \
	  -n $(WORKERS) --dist loadgroup $(PYTEST_ARGS)

lint: $(FULL) ## Ruff (rules and format) and mypy
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

bench: pigz $(BENCH) ## Compare with other ways to make hour files, and write docs/benchmarks.md (QUICK=1: a look)
	$(BIN)/python -m bench $(if $(QUICK),--quick) $(if $(ROUNDS),--rounds $(ROUNDS)) $(foreach part,$(ONLY),--only $(part))

pigz:
	@command -v pigz >/dev/null || { echo "error: make bench compares with pigz, which is not there:" \
	  "apt-get install pigz (Debian, Ubuntu), dnf install pigz (Fedora)" >&2; exit 1; }

screenshots: $(FULL) ## Run the demo and take the screenshots in docs/images (needs Chromium)
	@$(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -c constraints.txt -e '.[docs]'
	$(BIN)/python docs/take_screenshots.py

format: $(FULL) ## Format the code and mend what ruff can mend
	$(BIN)/ruff format
	$(BIN)/ruff check --fix

clean: ## Remove .venv, caches and build results
	rm -rf $(VENV) build dist *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find s3_assets s3_assets_tests -type d -name __pycache__ -prune -exec rm -rf {} +

# No prerequisites: made when missing, also when it dangles because its Python is gone.
$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "error: needs Python 3.11 or later, and '$(PYTHON)' is: $$($(PYTHON) --version 2>&1)" >&2; \
	  echo "       name another: make $(or $(MAKECMDGOALS),install) PYTHON=/path/to/python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "error: '$(PYTHON)' has no venv or no ensurepip: on Debian and Ubuntu, apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)

# $(call pip-install,EXTRAS): with uv, several times as fast; with pip where uv can't be had or fails (it doesn't read
# pip's configuration, so it may not know where this machine gets its packages from).
define pip-install
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt uv \
	  && $(BIN)/uv pip install --quiet --system-certs --python $(BIN)/python -c constraints.txt -e '.[$(1)]' \
	  || { echo "uv did not do it: once more with pip" >&2; \
	       $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[$(1)]'; }
endef

$(DEMO): $(PINS) | $(BIN)/python
	@echo "installing what the demo needs into $(VENV) (once, a minute or two)"
	$(call pip-install,demo)
	@touch $@

$(FULL): $(PINS) | $(BIN)/python
	@echo "installing everything into $(VENV) (once, a minute or two)"
	$(call pip-install,demo$(comma)dev)
	@touch $(DEMO) $@

# DuckDB's S3 extension comes from pip for another DuckDB than the one of the tests.
$(BENCH): $(FULL) bench/duckdb.txt
	$(call pip-install,demo$(comma)dev$(comma)bench)
	@$(BIN)/python -m venv $(VENV)/duckdb \
	  && $(VENV)/duckdb/bin/python -m pip install --quiet --disable-pip-version-check -r bench/duckdb.txt \
	  || { echo "DuckDB could not be installed: the bench goes without it" >&2; rm -rf $(VENV)/duckdb; }
	@touch $@
