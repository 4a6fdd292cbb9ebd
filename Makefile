# One verb each. Every verb first makes sure of .venv, which is instant once it is there.
# PYTHON=/path/to/python takes another Python; LOCK=gpu installs the CUDA libraries too.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

LOCK ?= dev
BIN := .venv/bin
# The stamp bears the locks, the project's own file and this folder's place: a change of any sets up anew.
KEY := $(shell { pwd; cat requirements/uv.txt requirements/$(LOCK).txt pyproject.toml; } | cksum | tr -s ' ' -)
READY := .venv/ready-$(LOCK)-$(KEY)
# A file of tests at a time on each core; what they share is made once a core, and needs 2 GB there.
# tests/order.py says which start first; SHUFFLE=1 takes them, and the tests of each, in an order of that seed.
# Bytecode is kept whatever the environment says: without, pytest reads every test file anew, for seconds, on each core.
PYTEST := PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -q --durations=15 --numprocesses logical --maxprocesses 4 --dist loadfile \
	--no-loadscope-reorder $(if $(SHUFFLE),--shuffle $(SHUFFLE))
COMPILE := $(BIN)/uv pip compile pyproject.toml --group dev --extra download --extra dask --extra dicom \
	--universal --python-version 3.11 --generate-hashes --no-header --quiet

.PHONY: help
help:
	@echo "make demo         phantoms through the whole pipeline, to a registered model"
	@echo "make up           Prefect, MLflow and a worker until Ctrl-C (PREFECT_PORT=4201 MLFLOW_PORT=5001)"
	@echo "make test         the tests, without the system tests"
	@echo "make test-fast    those that need no TensorFlow, no MLflow and no server"
	@echo "make coverage     make test, and which lines it ran"
	@echo "make test-system  the tests that need servers, a browser or several processes"
	@echo "make lint         ruff, mypy, import-linter, repeated code, rooms, the commands and links of the pages"
	@echo "make bench        ours against a rival, question by question (SIZE=tiny DATA=FOLDER ROUNDS=3)"
	@echo "make lock         resolve the locked requirements again (UPGRADE=1: to the newest versions)"
	@echo "make clean        remove .venv and the tools' caches; data/ and mlruns/ stay"

.PHONY: demo
demo: $(READY)
	$(BIN)/xray demo

.PHONY: up
up: $(READY)
	$(BIN)/xray up $(if $(PREFECT_PORT),--prefect-port $(PREFECT_PORT)) $(if $(MLFLOW_PORT),--mlflow-port $(MLFLOW_PORT))

.PHONY: test
test: $(READY)
	$(PYTEST) -m "not system"

.PHONY: test-fast
test-fast: $(READY)
	$(PYTEST) --fast

# Of the tests without the system tests; what runs in a process of its own, as a kept model does, is not counted.
.PHONY: coverage
coverage: $(READY)
	$(PYTEST) -m "not system" --cov --cov-report term:skip-covered

# pytest ends with 5 where there is no such test, which is no failure. The files come in the order of tests/system/conftest.py.
.PHONY: test-system
test-system: $(READY)
	$(PYTEST) --no-loadscope-reorder -m system || [ $$? -eq 5 ]

.PHONY: lint
lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pylint flows tasks xray
	$(BIN)/python -m tests.rooms
	$(BIN)/python -m tests.docs.check

.PHONY: lock
lock: $(READY)
	$(BIN)/uv pip compile requirements/uv.in --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --quiet \
		$(if $(UPGRADE),--upgrade) -o requirements/uv.txt
	$(COMPILE) $(if $(UPGRADE),--upgrade) -o requirements/dev.txt
	$(COMPILE) --extra gpu --constraint requirements/dev.txt $(if $(UPGRADE),--upgrade) -o requirements/gpu.txt

# Ours against a rival, question by question; it fails nothing. DATA=FOLDER takes real scans besides, SIZE=tiny few.
.PHONY: bench
bench: $(READY)
	$(BIN)/python benchmarks $(if $(DATA),--data "$(DATA)") $(if $(SIZE),--size $(SIZE)) $(if $(ROUNDS),--rounds $(ROUNDS))

.PHONY: clean
clean:
	rm -rf .venv .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache

.PHONY: setup
setup: $(READY)

$(READY):
	@bash requirements/install.sh "$(LOCK)" "$(PYTHON)"
	@touch $@
