# Everything a newcomer needs is `make demo` and `make test`; both make .venv first, from requirements.lock.

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test quick check conformance crowd bench diagrams specs mutants lock clean

# Bytecode is kept, beside the packages: tests start hundreds of processes, and each would compile everything anew.
unexport PYTHONDONTWRITEBYTECODE
export PYTHONPYCACHEPREFIX := $(CURDIR)/.venv/bytecode

READY  := .venv/.ready
BIN    := .venv/bin
PYTEST := $(BIN)/python -m pytest

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY)  ## the story: terminate under a broken archive, in the old order and in ours (ten seconds)
	@$(BIN)/kernel demo

test: check  ## every check: lint, types, import contracts, all tests, branch coverage of spec/ and core/ at 100 %
	$(PYTEST) -n 2 --dist worksteal --cov

quick: check  ## the same without coverage, slow tests, and those that need a server (a minute and a half)
	$(PYTEST) -n 2 --dist worksteal -m "not slow and not server"

check: $(READY)  ## lint, types and import contracts only
	$(BIN)/ruff check kernel tests
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo

conformance: $(READY)  ## drive the kernel through the larger models, too, on memory and SQLite (many minutes)
	$(BIN)/python -m tests.conformance

crowd: $(READY)  ## eight processes on PostgreSQL and on Redis, one killed every second, for a minute each
	$(BIN)/python -m tests.faults.crowd

bench: $(READY)  ## measure, as ratios with spreads
	$(PYTEST) -s --timeout 0 tests/benchmarks

diagrams: $(READY)  ## write diagrams/ anew from the specification
	$(BIN)/kernel diagram

specs: $(READY)  ## write the generated parts of specs/ anew from the specification
	$(BIN)/python -m kernel.render specs
	$(BIN)/python -m tests.drift.test_evidence

mutants: $(READY)  ## judge every mutant of the specification anew, and look for every witness (a quarter of an hour)
	$(BIN)/python -m tests.formal.judged

lock: $(READY)  ## pin every dependency anew, with hashes, in requirements.lock
	.ci/lock

clean:  ## remove .venv and all caches
	rm -rf .venv .coverage .coverage.* .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find kernel tests -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml .ci/setup .ci/debian
	@PYTHON="$(PYTHON)" .ci/setup
	@touch $@
