# `make up` and `make test` do all the set-up they need. VENV and PYTHON may be set from outside.
VENV ?= .venv
export VENV
BIN := $(VENV)/bin

.PHONY: up down setup check test bench
up:
	@.ci/setup up
	@examples/hello/build-image.sh
	@$(BIN)/windlass up
	@examples/hello/try.sh $(BIN)/windlass

down:
	@status=0; $(BIN)/windlass down || status=$$?; .ci/setup down; exit $$status

setup:
	@.ci/setup test

check: setup
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: check
	$(BIN)/pytest

bench: setup
	$(BIN)/python bench/run.py
