# A convenience: everything here is also `pip install` and the `nlp-lstm` command.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
TASK   ?= pos
RUN    := $(BIN)/nlp-lstm

.DEFAULT_GOAL := help
.PHONY: help pipeline test test-all lint bench bench-peers report audit wheel

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/installed: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --editable ".[dev]"
	@touch $@

pipeline: $(VENV)/installed ## data, training, evaluation, report: TASK=pos [DATA=path] [ARGS="model.hidden=128"]
	$(RUN) run $(TASK) $(if $(DATA),--data "$(DATA)") $(ARGS)

test: $(VENV)/installed ## the default tests
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: $(VENV)/installed ## all tests, the slow ones too
	$(BIN)/python -m pytest -n auto --dist worksteal -m "not gpu"

lint: $(VENV)/installed ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/installed ## speed, as ratios in one run, with accuracy beside it
	$(BIN)/python benchmarks/training_speed.py
	$(BIN)/python benchmarks/inference.py
	$(BIN)/python benchmarks/kernel.py
	$(BIN)/python benchmarks/decoding.py
	$(BIN)/python benchmarks/growth.py

bench-peers: $(VENV)/installed ## beside spaCy, Flair, Stanza and joeynmt, trained here first, for hours: [ARGS="--minutes 60"]
	$(BIN)/python benchmarks/peers.py $(ARGS)

report: $(VENV)/installed ## evaluate the bundled model of TASK and write runs/report-TASK
	$(RUN) evaluate $(TASK) --output runs/report-$(TASK)

audit: $(VENV)/installed ## known faults in what is installed; strict: what cannot be looked up fails
	$(PYTHON) -m venv $(VENV)-audit
	$(VENV)-audit/bin/python -m pip install --quiet pip-audit
	$(BIN)/python -m pip freeze --exclude-editable > $(VENV)-audit/installed.txt
	$(VENV)-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement $(VENV)-audit/installed.txt

wheel: $(VENV)/installed ## build the wheel twice and compare: the same bytes, under 95 MB
	$(BIN)/python benchmarks/same_wheel.py
