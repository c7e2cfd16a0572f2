# `make demo` and `make test` are all that a fresh machine with Python needs; both make the environment first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PEERS := .venv-peers

.PHONY: demo test bench lint types contracts schemas docs clean

demo: $(VENV)/.ready
	PATH="$(CURDIR)/$(BIN):$$PATH" sh examples/tour.sh

test: lint types contracts
	$(BIN)/python -m pytest -n 2

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

contracts: $(VENV)/.ready
	$(BIN)/lint-imports

# A peer that cannot be installed is left out.
bench: $(VENV)/.ready
	-$(MAKE) $(PEERS)/.ready
	PATH="$$PATH:$(CURDIR)/$(PEERS)/bin" $(BIN)/python -m benchmarks

schemas: $(VENV)/.ready
	$(BIN)/reconcile schema --write

docs: schemas
	$(BIN)/python -m tests.support.guardrails_page
	$(BIN)/python -m tests.support.drawing

$(VENV)/.ready: pyproject.toml requirements.lock
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	touch $@

$(PEERS)/.ready: benchmarks/peers.lock
	$(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r benchmarks/peers.lock
	touch $@

clean:
	rm -rf $(VENV) $(PEERS) build *.egg-info
