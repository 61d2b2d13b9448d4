# The same commands locally and in CI. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

.PHONY: help setup demo test check format bench eval up clean
help:
	@echo "make demo   set up, ingest the sample documents, ask questions, print cited answers"
	@echo "make test   set up and run the tests"
	@echo "make check  format, lint, types, import contract"
	@echo "make bench  measure speed"
	@echo "make eval   measure answers and retrieval on the sample questions"
	@echo "make up     start API, worker, scheduler and UI on this machine"

setup: $(STAMP)
$(STAMP): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" sh scripts/setup.sh

demo: setup
	@$(BIN)/python -m examples.demo

test: setup
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: setup
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: setup
	$(BIN)/python -m benchmarks

eval: setup
	$(BIN)/python -m examples.evaluate

up: setup
	$(BIN)/attest up

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache
