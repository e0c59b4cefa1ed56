.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

##@ Start here

help: ## List the targets
	@awk 'BEGIN {FS = ":.*##"} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*##/ {printf "  %-18s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: .venv/.ready ## Make .venv with everything the other targets need

# torch is named apart: its CPU build may come from a wheel folder or index of yours (PIP_FIND_LINKS, PIP_EXTRA_INDEX_URL).
.venv/.ready: pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --require-hashes -r requirements/dev.txt
	$(BIN)/pip install --quiet -r requirements/train.txt
	$(BIN)/pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

lock: ## Pin every dependency anew (requirements/*.txt)
	$(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-emit-find-links --generate-hashes --extra heic pyproject.toml -o requirements/runtime.txt
	$(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-emit-find-links --generate-hashes --extra heic --group dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt
