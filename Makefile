# The same commands locally and in CI. `make help` lists them.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := $(VENV)/.installed
DEV := $(VENV)/.installed-dev
DATA ?= demo-data
PYTEST_ARGS ?=
# Processes of the tests; each starts its own servers and reads its own weights.
TEST_WORKERS ?= 2
# As `attest` sets it (rag/cli.py): threads of torch do not burn a core that others want.
export GOMP_SPINCOUNT ?= 1000

.DEFAULT_GOAL := help
.PHONY: help setup demo up test check format bench eval docs pin clean

help: ## list these commands
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(DEV) ## make .venv with everything for work on Attest

demo: $(RUN) ## set up, ingest the sample documents, ask questions, print cited answers
	@$(BIN)/python -m examples.demo --data $(DATA)

up: $(RUN) ## start API, worker, scheduler and UI on this machine
	@$(BIN)/attest up --data $(DATA)

test: $(DEV) ## run the tests (PYTEST_ARGS="-k name" for some of them, TEST_WORKERS=0 in one process)
	@$(BIN)/python -m pytest -n $(TEST_WORKERS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

check: $(DEV) ## format, lint, types, import contract
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV) ## mend the format and what the linter can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(RUN) ## measure the seconds of each stage of a question, on what make demo left
	@$(BIN)/python -m benchmarks --data $(DATA)

eval: $(RUN) ## measure answers and retrieval on the sample questions, on what make demo left
	@$(BIN)/python -m examples.evaluate --data $(DATA)

docs: $(DEV) ## write the generated pages anew (docs/configuration.md)
	@$(BIN)/python scripts/configuration.py

pin: $(DEV) ## write constraints.txt from what is installed now
	@$(BIN)/python scripts/pin.py > constraints.new && mv constraints.new constraints.txt

clean: ## remove what can be made again; data folders stay
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis

$(RUN): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" EXTRAS= sh scripts/setup.sh

$(DEV): pyproject.toml constraints.txt scripts/setup.sh
	@PYTHON="$(PYTHON)" VENV="$(VENV)" EXTRAS=dev sh scripts/setup.sh
