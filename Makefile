# One entrance: setup | run | test | check | fmt | bench | docs.
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3.13 || command -v python3)
ARGS ?=
BIN := .venv/bin

.PHONY: setup run test test-quick check fmt bench docs vendor clean

setup: .venv/.ready

.venv/.ready: pyproject.toml setup.py requirements.lock src/homeport/worker/_accelerator.c scripts/install-system-packages
	@scripts/install-system-packages
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@test -x $(BIN)/uv || $(BIN)/python -m pip install --quiet --disable-pip-version-check "$$(sed -n 's/^\(uv==[^ ]*\).*/\1/p' requirements.lock)"
	@$(BIN)/uv pip sync --quiet --compile-bytecode --require-hashes requirements.lock
	@$(BIN)/uv pip install --quiet --no-deps --editable .
	@$(BIN)/python -m compileall -q src # sandboxes see it read-only: what is not compiled now is compiled at every start
	@touch $@

run: setup
	@$(BIN)/python -m homeport.cli run-sample $(ARGS)

test: setup check
	@scripts/run-tests

test-quick: setup
	$(BIN)/python -m pytest -m "not platform and not interpreters"

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

fmt: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: setup
	$(BIN)/python -m bench $(ARGS)

docs: setup
	$(BIN)/python -m homeport.cli docs

vendor:
	@scripts/refresh-xterm

clean:
	rm -rf .venv build src/*.egg-info
