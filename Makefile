# What can be done here: `make help`. CI (.ci/run) is `make check` and nothing else.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV ?= .venv
ARGS ?=

# The second Python that the tests run on, in an environment of its own.
OTHER_PYTHON := 3.13
SOURCES := services shared clients deploy tests $(wildcard bench docs/examples)
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

# npm trusts only its own list of authorities, unless told of the machine's.
MACHINE_CERTIFICATES := $(wildcard /etc/ssl/certs/ca-certificates.crt)
ifneq ($(MACHINE_CERTIFICATES),)
export NODE_EXTRA_CA_CERTS ?= $(MACHINE_CERTIFICATES)
endif

.PHONY: help
help: ## Say what can be done here
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "PYTHON= (python3) and VENV= (.venv) choose the Python and its environment, ARGS= goes to the command."

.PHONY: venv
venv: $(INSTALLED) ## Create .venv with the conecta command, from the hashed lock

$(INSTALLED): pyproject.toml requirements.lock requirements-uv.lock deploy/venv.sh
	@deploy/venv.sh install $(VENV) $(PYTHON)
	@touch $@

.PHONY: run
run: venv ## Start everything in the foreground, with demo data (ARGS="--data DIR"); Ctrl-C ends it
	@exec $(BIN)/conecta up --demo $(ARGS)

.PHONY: test
test: venv ## Run the tests, on real servers (ARGS="-k jury" for some)
	$(BIN)/pytest $(ARGS)

.PHONY: faults
faults: venv ## Kill, freeze, fill and cut off everything under load (ARGS="--faults-seed 7" repeats a run)
	$(BIN)/pytest --faults tests/faults $(ARGS)

.PHONY: bench
bench: venv ## Measure it (ARGS="--short", "--only receipts", "--json FILE")
	@exec $(BIN)/conecta bench $(ARGS)

.PHONY: check
check: lint types contracts test asyncapi other-python ## Everything that CI asks for

.PHONY: lint
lint: venv ## Look for faults and formatting
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

.PHONY: types
types: venv ## Check the types, strictly
	$(BIN)/mypy $(SOURCES)

.PHONY: contracts
contracts: venv ## Check the import contracts and what imports cannot see
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest --quiet tests/architecture

.PHONY: asyncapi
asyncapi: ## Validate docs/asyncapi.json with AsyncAPI's own parser (needs node)
	@if command -v npm >/dev/null; then $(MAKE) --no-print-directory asyncapi-with-node; \
	else echo "ASYNCAPI NOT VALIDATED: node and npm are not on this machine"; fi

asyncapi-with-node: tests/asyncapi/node_modules/.installed
	npm test --prefix tests/asyncapi

tests/asyncapi/node_modules/.installed: tests/asyncapi/package.json tests/asyncapi/package-lock.json
	npm ci --prefix tests/asyncapi --no-audit --no-fund
	@touch $@

.PHONY: other-python
other-python: venv ## Run the tests that are not slow on the other Python, if it is here
	@if python=$$(deploy/venv.sh find $(OTHER_PYTHON)); then \
		$(MAKE) test PYTHON="$$python" VENV=.venv-$(OTHER_PYTHON) ARGS='-m "not slow"'; \
	else echo "PYTHON $(OTHER_PYTHON) IS NOT ON THIS MACHINE: TESTED ON ONE PYTHON ONLY"; fi

.PHONY: format
format: venv ## Mend formatting, and the faults that can be mended by themselves
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

.PHONY: lock
lock: ## Lock what pyproject.toml asks for (ARGS=--upgrade takes newer versions)
	@deploy/venv.sh lock $(ARGS)

.PHONY: clean
clean: ## Remove environments and caches; data that conecta keeps stays
	rm -rf .venv .venv-* .uv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
