# Everything a newcomer or CI needs, in one word each; only make and Python 3.11 or newer must be there.
# The environment lives in .venv and is made again only when a lock file or pyproject.toml changes.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.SUFFIXES:

# A foreign environment, active or half active, must not leak into ours.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH

VENV := .venv
BIN := $(VENV)/bin
PY := $(BIN)/python
PIP := $(PY) -m pip -qq --disable-pip-version-check --no-input
PYTHON ?= $(shell for name in python3 python3.11 python3.12 python3.13 python3.14; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 && echo $$name && break; done)

PLAYGROUND := $(VENV)/playground.stamp
DEV := $(VENV)/dev.stamp
FUZZ := $(VENV)/fuzz.stamp
PROJECT := $(VENV)/project.stamp

# Two test processes: what the smallest machine we support has cores for.
JOBS ?= 2
ARGS ?=
CAMPAIGNS := faults crash/campaign simulation sabotage browser conformance journeys

.PHONY: help
help: ## show this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile | expand -t 20

.PHONY: demo
demo: $(PLAYGROUND) $(PROJECT) ## play one whole story in the terminal, without Slack and without Azure
	@$(BIN)/runbook playground --story restart-web $(ARGS)

.PHONY: playground
playground: $(PLAYGROUND) $(PROJECT) ## start a local Slack and local machines to click through
	@$(BIN)/runbook playground $(ARGS)

.PHONY: test
test: $(DEV) $(PROJECT) ## run every test, also the fault matrix and every crash point; ARGS="-k word" picks some
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

.PHONY: quick
quick: $(DEV) $(PROJECT) ## run the tests that take no campaign, no browser and no other language
	@$(PY) -m pytest -n $(JOBS) --dist loadfile $(foreach each,$(CAMPAIGNS),--ignore tests/$(each)) $(ARGS)

.PHONY: faults
faults: $(DEV) $(PROJECT) ## run the fault matrix, every crash point, the simulation and the deliberate mistakes
	@$(PY) -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder tests/faults tests/crash tests/simulation tests/sabotage $(ARGS)

.PHONY: deep
deep: $(DEV) $(PROJECT) $(FUZZ) ## run every long campaign, up to 80 minutes, and write docs/reliability.md; ARGS="--scale 0.1" asks for a tenth
	@$(PY) -m tests.deep --jobs $(JOBS) --record $(ARGS)

.PHONY: bench
bench: $(DEV) $(PROJECT) ## measure speed and memory, about ten minutes, and write docs/benchmarks.md; ARGS="--quick" is faster
	@$(PY) -m tests.benchmarks $(ARGS)

.PHONY: docs-check
docs-check: $(DEV) $(PROJECT) ## run only the tests of what is written: docs, locks, manifest, image, house rules
	@$(PY) -m pytest tests/docs $(ARGS)

.PHONY: lint
lint: $(DEV) $(PROJECT) ## check style, formatting, types and who imports whom
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo --no-cache

.PHONY: format
format: $(DEV) ## mend what can be mended by itself
	@$(BIN)/ruff check --fix-only .
	@$(BIN)/ruff format .

.PHONY: env
env: $(DEV) $(PROJECT) ## make the environment for developers, nothing else

# dev.lock first: the others are held to its versions, so that what is tested is what is shipped.
COMPILE = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-emit-find-links --no-annotate \
	--custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)
HELD = -c requirements/dev.lock

.PHONY: lock
lock: $(DEV) ## write the lock files again after a change in pyproject.toml; UPGRADE=1 takes newer versions
	@$(COMPILE) pyproject.toml --all-extras --group dev -o requirements/dev.lock
	@$(COMPILE) $(HELD) pyproject.toml --extra playground --group build -o requirements/playground.lock
	@$(COMPILE) $(HELD) pyproject.toml -o requirements/runtime.lock
	@$(COMPILE) $(HELD) --group build -o requirements/build.lock
	@$(COMPILE) $(HELD) --group fuzz -o requirements/fuzz.lock

.PHONY: clean
clean: ## remove the environment and everything that was built
	@rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(PY):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed and none was found; name one: make PYTHON=/path/to/python3" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv --clear $(VENV) || { echo "venv is missing; on Debian and Ubuntu: apt-get install python3-venv" >&2; exit 1; }

$(PLAYGROUND): requirements/playground.lock $(PY)
	@echo "installing requirements/playground.lock"
	@$(PIP) install --require-hashes -r requirements/playground.lock
	@touch $@

# dev.lock holds everything that playground.lock holds, in the same versions.
$(DEV): requirements/dev.lock $(PY)
	@echo "installing requirements/dev.lock"
	@$(PIP) install --require-hashes -r requirements/dev.lock
	@touch $@ $(PLAYGROUND)

# Only the long runs need a fuzzer that is guided by coverage.
$(FUZZ): requirements/fuzz.lock $(DEV)
	@echo "installing requirements/fuzz.lock"
	@$(PIP) install --require-hashes -r requirements/fuzz.lock
	@touch $@

$(PROJECT): pyproject.toml $(PY)
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@
