# `make run` and `make test` work from a bare clone; `make help` lists the rest.

PYTHON ?= python3
KAFKA ?=
ARGS ?=
BIN := .venv/bin
INSTALLED := .venv/.installed
SOURCES := services shared migrations deploy tests

.DEFAULT_GOAL := help
.PHONY: help install run test check helm lock

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-9s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## Set up .venv with everything pinned (PYTHON=python3.12 picks another Python)

$(INSTALLED): requirements.txt pyproject.toml deploy/assets/package-lock.json deploy/assets/build.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=…")'
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "Installing into .venv (about a minute the first time) …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --requirement requirements.txt
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --editable .
	@touch $@

run: install  ## Start everything here and play the sample campaign (ARGS=--exit ends after its summary)
	@$(BIN)/offers up --sample $(ARGS)

test: install  ## Run the whole suite on real servers (KAFKA=apache: on Apache Kafka; ARGS for pytest, "-n 0": in turn)
	KAFKA=$(KAFKA) $(BIN)/python -m pytest -n auto --dist loadfile --no-loadscope-reorder $(ARGS)

helm: install  ## Fetch Helm and Kubernetes' schemas into .venv, for the tests of deploy/kubernetes
	@$(BIN)/python -m tests.support.kubernetes_tools

check: install  ## Formatting, lint, types, import contracts, SQL style, generated documents
	$(BIN)/ruff format --check $(SOURCES)
	$(BIN)/ruff check $(SOURCES)
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/sqlfluff lint --disable-progress-bar migrations shared services deploy
	$(BIN)/python -m deploy.documents --check

COMPILE := $(BIN)/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-annotate --quiet --custom-compile-command "make lock"

lock: install  ## Pin what pyproject.toml asks for, with hashes: everything here, what an image holds in deploy/docker
	@test -x $(BIN)/uv || $(BIN)/pip install --quiet --disable-pip-version-check uv
	$(COMPILE) --extra embedded --extra dev --output-file requirements.txt
	$(COMPILE) --constraint requirements.txt --output-file deploy/docker/requirements.txt
