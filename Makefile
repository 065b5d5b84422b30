# `make help` lists what there is. Everything runs in .venv, which `make setup` creates.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKSPACE ?= patron-demo

.DEFAULT_GOAL := help
.PHONY: help setup demo test all-tests test-fast test-times test-browser test-extras check format hooks docs clients notebooks site dist sbom bench screenshots clean

# Coverage by the interpreter's own events where it has them (Python 3.12): they cost next to nothing.
export COVERAGE_CORE = $(shell $(BIN)/python -c 'import sys; print("sysmon" if sys.version_info >= (3, 12) else "ctrace")' 2>/dev/null)

help: ## Show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

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

# Tests keep their workspaces in memory where it has room: every commit of theirs waits for a disk otherwise.
TESTING := test all-tests test-fast test-times
$(TESTING): export TMPDIR := $(shell [ "$$(df --output=avail --block-size=1G /dev/shm 2>/dev/null | tail -n 1)" -ge 10 ] 2>/dev/null && echo /dev/shm || echo $${TMPDIR:-/tmp})
# why one: threads of BLAS wait busily for each other, which takes the processor from the other worker
$(TESTING): export OPENBLAS_NUM_THREADS := 1
# why empty: without compiled files every worker, and every process that a test starts, compiles anew what it imports
$(TESTING) test-browser: export PYTHONDONTWRITEBYTECODE :=
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder

# why side by side: types are checked by one thread, which leaves a core idle for two minutes
test: $(VENV)/.dev ## Lint, types, architecture and all tests, then their processor time; with coverage where that is free (Python 3.12)
	+$(MAKE) --no-print-directory --jobs=2 check all-tests

all-tests: $(VENV)/.dev
	$(PYTEST) --processor-time $(if $(filter sysmon,$(COVERAGE_CORE)),--cov --cov-report=term)

test-fast: $(VENV)/.dev ## Lint, and the tests whose files take a second each at most: no browser, no run of a shop, no processes
	$(BIN)/ruff check src tests
	$(PYTEST) --fast -m 'not slow and not browser and not spark'

test-times: $(VENV)/.dev ## Run all tests and keep how long each file takes, which decides what `make test-fast` runs
	$(PYTEST) --record-processor-time

test-browser: export PATRON_TEST_BROWSER := all
test-browser: $(VENV)/.dev ## Walk whole tasks and open every page of the console, in both languages and themes, on a desk and on a phone
	$(BIN)/python -m pytest -n 2 --dist loadgroup --no-loadscope-reorder tests/interfaces/console/tasks tests/interfaces/console/test_every_page.py

test-extras: $(VENV)/.dev ## Install the extras that `make test` leaves out and run their tests
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev,deep,embeddings]'
	PATRON_TEST_EXTRAS=1 $(BIN)/python -m pytest -m extra

check: $(VENV)/.dev ## Lint, format, types and layers
	$(BIN)/ruff check src tests benchmarks docs clients
	$(BIN)/ruff format --check src tests benchmarks docs clients
	$(BIN)/basedpyright
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format the code
	$(BIN)/ruff format src tests benchmarks docs clients
	$(BIN)/ruff check --fix src tests benchmarks docs clients

docs: $(VENV)/.dev ## Write docs/reference from the code
	$(BIN)/python docs/generate.py

clients: $(VENV)/.dev ## Build the Python and TypeScript clients of the API into build/clients (needs npm)
	$(PYTHON) -m venv build/client-tools
	build/client-tools/bin/python -m pip install --quiet --requirement tests/clients/requirements.txt
	npm install --silent --no-audit --no-fund --no-package-lock --prefix tests/clients
	rm -rf build/clients
	$(BIN)/python clients/build.py build/clients --generator build/client-tools/bin/openapi-python-client --node-modules tests/clients/node_modules

notebooks: $(VENV)/.dev ## Run the notebooks in examples/ and keep what they show
	$(BIN)/python docs/run_notebooks.py

hooks: $(VENV)/.dev ## Check every commit before it is made (pre-commit)
	$(BIN)/python -m pip install --quiet --constraint constraints.txt pre-commit
	$(BIN)/pre-commit install

site: $(VENV)/bin/python ## Build the documentation as a site with search, in site/
	$(BIN)/python -m pip install --quiet --constraint constraints.txt zensical latex2mathml
	$(BIN)/python docs/build_site.py

dist: $(VENV)/bin/python ## Build source archive and wheel into dist/, and check the wheel in an environment of its own
	$(BIN)/python -m pip install --quiet --constraint constraints.txt build
	rm -rf dist
	$(BIN)/python -m build --outdir dist
	$(BIN)/python .ci/check_wheel.py dist/*.whl

sbom: ## List every package of an installation of the platform in patron.cdx.json (CycloneDX)
	$(PYTHON) -m venv --clear build/sbom build/sbom-tool
	build/sbom/bin/python -m pip install --quiet --constraint constraints.txt '.[platform]'
	build/sbom-tool/bin/python -m pip install --quiet 'cyclonedx-bom>=7'
	build/sbom-tool/bin/cyclonedx-py environment --output-reproducible --pyproject pyproject.toml -o patron.cdx.json build/sbom

bench: $(VENV)/.dev ## Run the long studies and print their numbers
	$(BIN)/python benchmarks/run.py

screenshots: $(VENV)/.dev ## Photograph report and console in both languages (needs chromium)
	$(BIN)/python -m patron.interfaces.console.screenshots $(WORKSPACE) docs/images

clean: ## Remove what was built, keep workspaces
	rm -rf $(VENV) .pytest_cache .ruff_cache .hypothesis .coverage* dist site .cache
