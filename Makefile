# `make help` lists what there is. Everything runs in .venv, which `make setup` creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKSPACE ?= patron-demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test check format docs bench screenshots clean

help: ## Show this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.dev ## Create .venv and install Patron with everything its tests need

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Patron needs Python 3.11 or newer; name one: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' || { echo "This Python has no venv; install it (Debian: apt-get install python3-venv)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip

$(VENV)/.demo: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[demo]'
	@$(BIN)/python -c 'import lightgbm' || { echo "LightGBM needs the OpenMP library (Debian: apt-get install libgomp1)"; exit 1; }
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@$(BIN)/python -c 'import lightgbm' || { echo "LightGBM needs the OpenMP library (Debian: apt-get install libgomp1)"; exit 1; }
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo ## Run the whole loop on a year of real purchases and write a report
	$(BIN)/patron demo --workspace $(WORKSPACE)

test: check ## Lint, types, architecture and all tests
	$(BIN)/python -m pytest -n 2 --dist loadgroup

check: $(VENV)/.dev ## Lint, format, types and layers
	$(BIN)/ruff check src tests benchmarks docs
	$(BIN)/ruff format --check src tests benchmarks docs
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format src tests benchmarks docs
	$(BIN)/ruff check --fix src tests benchmarks docs

docs: $(VENV)/.dev ## Write docs/reference from the code
	$(BIN)/python docs/generate.py

bench: $(VENV)/.dev ## Run the long studies and print their numbers
	$(BIN)/python benchmarks/run.py

screenshots: $(VENV)/.dev ## Photograph report and console in both languages (needs chromium)
	$(BIN)/python -m patron.interfaces.console.screenshots $(WORKSPACE) docs/images

clean: ## Remove what was built, keep workspaces
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis
