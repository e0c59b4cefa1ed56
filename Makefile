.DEFAULT_GOAL := help
SHELL := /bin/bash
PYTHON ?= python3
JOBS ?= 2
BIN := .venv/bin
PAIRS ?= $(or $(REGAIN_PAIRS),../shared/data/gainmaps)
PIP := $(BIN)/pip --disable-pip-version-check install --quiet
UV := $(BIN)/uv pip compile --quiet --no-header --no-emit-index-url --no-emit-find-links --generate-hashes

##@ Start here

help: ## List the targets
	@awk 'BEGIN {FS = ":.*## "} /^##@/ {printf "\n%s\n", substr($$0, 5)} /^[a-z-]+:.*## / {printf "  %-16s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/.ready ## Start the service, run a photo through it (PHOTO=…, or one rendered here), audit the result
	@mkdir -p out
	@photo="$(PHOTO)"; if [[ -z $$photo ]]; then photo=out/demo.jpg; $(BIN)/python infra/render_demo.py $$photo; fi; \
	name=$$(basename "$${photo%.*}"); \
	$(BIN)/python -m infra.demo "$$photo" out && \
	if [[ -f out/$${name}_hdr.jpg ]]; then $(BIN)/regain audit "out/$${name}_hdr.jpg"; fi

up: .venv/.ready ## Start the service on this machine (PORT=8000); Ctrl-C stops it
	$(BIN)/regain up --port $(or $(PORT),8000)

test: .venv/.ready ## Run the tests, JOBS=2 at once; what needs an absent reader is skipped and listed
	$(BIN)/python -m pytest -m "not long" -n $(JOBS) --dist loadfile --no-loadscope-reorder

##@ Set up

setup: .venv/.ready ## Make .venv with everything the other targets need

# torch stands apart: where a CPU build lies in a folder or index of yours, PIP_FIND_LINKS or PIP_EXTRA_INDEX_URL
# leads pip to it; otherwise the registry's newest build comes.
.venv/.ready: pyproject.toml $(wildcard requirements/*.txt)
	$(PYTHON) -m venv .venv
	$(PIP) --require-hashes -r requirements/dev.txt
	$(PIP) -r requirements/train.txt
	$(PIP) --no-deps --no-build-isolation --editable .
	@touch $@

system-deps: ## Install Chromium, perl, Node.js and the npm readers that the tests use
	infra/system-deps.sh

lock: .venv/.ready ## Pin every dependency anew (requirements/*.txt)
	$(UV) --extra heic pyproject.toml -o requirements/runtime.txt
	$(UV) --extra otel -c requirements/runtime.txt pyproject.toml -o requirements/otel.txt
	$(UV) --extra heic --extra otel --group dev -c requirements/runtime.txt pyproject.toml -o requirements/dev.txt

##@ Check

lint: .venv/.ready ## Style, and who may import whom
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

type: .venv/.ready ## Types, strictly
	$(BIN)/mypy

test-long: .venv/.ready ## Run what `make test` leaves out to end within half an hour
	$(BIN)/python -m pytest -m long

fuzz: .venv/.ready ## Feed 20,000 mutated files to the codec
	$(BIN)/python -m tests.fuzz.mutate --count 20000 --seed 1

load: .venv/.ready ## Rates, waits and scaling of the service on this machine
	$(BIN)/python -m tests.load.service

backfill-load: .venv/.ready ## A manifest of a million rows, 10,000 rows killed five times, 300 photos of PAIRS; on this machine, then through the service
	$(BIN)/python -m tests.load.backfill --rows 1000000 --killed 10000 --photos $(PAIRS)
	$(BIN)/python -m tests.load.batches --rows 1000000 --killed 10000 --photos $(PAIRS)

bench: .venv/.ready ## CPU time, memory and ratios of a photo; about half an hour on a quiet machine
	$(BIN)/python -m bench

contract: .venv/.ready ## Make 2,000 requests out of the API's own OpenAPI document
	CONTRACT_EXAMPLES=2000 $(BIN)/python -m pytest tests/integration/test_api_contract.py

lighthouse: .venv/.ready ## Scores of every page by Lighthouse (installs it from npm first)
	cd infra/lighthouse && npm ci --loglevel=error --no-audit --no-fund --ignore-scripts >/dev/null
	$(BIN)/python -m tests.load.lighthouse

image-size: .venv/.ready ## Size on disk, in MB, of an environment with what ships and nothing else
	rm -rf out/runtime && $(PYTHON) -m venv --without-pip out/runtime
	$(BIN)/pip --disable-pip-version-check --python out/runtime/bin/python install --quiet --require-hashes -r requirements/runtime.txt
	du -sm out/runtime

screenshots: .venv/.ready ## Take the pictures of docs/screenshots anew, of photos rendered here
	$(BIN)/python -m tests.acceptance.screenshots

##@ Model

evaluate: .venv/.ready ## Score the default model on val (PAIRS=folder with train/ and val/)
	$(BIN)/python -m models.evaluate --data $(PAIRS)/val --fit $(PAIRS)/train --json out/evaluate.json

evaluate-guided: .venv/.ready ## Score guided restoration on edits whose truth is known
	$(BIN)/python -m models.evaluate_guided --data $(PAIRS)/val --fit $(PAIRS)/train --json out/guided.json

verify-model: .venv/.ready ## Prove ONNX Runtime, its tiles and tinygrad against torch
	$(BIN)/python -m models.verify

scenes: .venv/.ready ## What the map does with skies, lamps, windows and white paper
	$(BIN)/python -m models.scenes

.PHONY: help bench demo up test test-long setup system-deps lock lint type fuzz load image-size evaluate evaluate-guided verify-model scenes contract backfill-load screenshots lighthouse
