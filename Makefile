# What one does with this project. It needs python3 (3.10 or newer) with pip and venv, and make.
# The first run makes the virtual environment .venv; later ones find it there.

PYTHON ?= python3
BIN := .venv/bin

# What the tests fetch; TRITON_TEST_CACHE chooses another place.
CACHE := $(or $(TRITON_TEST_CACHE),$(or $(XDG_CACHE_HOME),~/.cache)/tritonclient-tests)

# Seconds for each target of `make fuzz`.
TIME ?= 60

# The unit tests, without those that take more than some seconds.
QUICK := -m "unit and not slow and not long"

.PHONY: help quick demo test test-all test-units test-long test-java test-long-java check fix bench bench-quick docs fuzz clean
.NOTPARALLEL:

help:
	@echo "make quick        run the unit tests, in under a minute"
	@echo "make demo         start the embedded server and let image_client read handwritten digits"
	@echo "make test         run all tests, in 10 to 40 minutes; ARGS='-k name' chooses some"
	@echo "make test-all     run them under every Python from 3.10 on that is installed"
	@echo "make test-units   run the unit tests under each of them"
	@echo "make test-long    run the tests that take hours; ARGS='-k name' chooses some"
	@echo "make test-java    run the tests of the Java client; test-long-java those that take long"
	@echo "make check        check style and types"
	@echo "make fix          correct the style"
	@echo "make docs         run the code in the documentation"
	@echo "make bench        measure speed beside the official client"
	@echo "make bench-quick  measure what has a budget; BASE=COMMIT compares with that commit instead"
	@echo "make fuzz         feed what reads a peer's bytes with what breaks it; TIME=60 seconds each"
	@echo "make clean        remove what these made"

quick: .venv/.test
	@$(BIN)/python -m pytest -q $(QUICK) $(ARGS)

demo: .venv/.test
	@$(BIN)/python scripts/demo.py

test: .venv/.test
	@echo "All tests take 10 to 40 minutes; 'make quick' takes one. The first run fetches a real Triton,"
	@echo "the official client and others, about 1 GB, into $(CACHE), which 'make clean' leaves."
	@$(BIN)/python -m pytest $(ARGS)

test-all: .venv/.nox
	@$(BIN)/nox -- $(ARGS)

test-units: .venv/.nox
	@$(BIN)/nox -- -q $(QUICK) $(ARGS)

test-long: .venv/.test
	@$(BIN)/python -m pytest -m long $(ARGS)

# The tests of the Java client, which need a JDK (17 or newer) and Maven. Those that take long make
# 100,000 calls and look at what they leave behind.
test-java: .venv/.test
	@$(BIN)/python -m pytest tests/languages/test_java.py $(ARGS)

test-long-java:
	@cd java && mvn -B -ntp -q test -Dtest.excluded= -Dtest.groups=long -Dsurefire.failIfNoSpecifiedTests=false

# The types are checked against the packages that the source imports, so these must be there too.
check: .venv/.test .venv/.check
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/pyright

fix: .venv/.check
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

docs: .venv/.test
	@$(BIN)/python -m pytest --quiet tests/examples/test_examples.py -k document

bench: .venv/.test
	@$(BIN)/python -m benchmarks $(ARGS)

bench-quick: .venv/.test
	@$(BIN)/python -m benchmarks --quick $(if $(BASE),--base $(BASE)) $(ARGS)

fuzz: .venv/.fuzz
	@$(BIN)/python -m fuzzing --time $(TIME) $(ARGS)

clean:
	@rm -rf .venv .nox .fuzz .mypy_cache .ruff_cache .hypothesis

# The dependency groups of pyproject.toml, installed once and again whenever that file changes.
# pip is upgraded first because --group needs 25.1. Its output is shown only when it fails; until
# then, every few seconds, its last line.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.venv/.test .venv/.check .venv/.fuzz .venv/.nox: .venv/.%: pyproject.toml
	@echo "Installing what 'make $(or $(firstword $(MAKECMDGOALS)),$*)' needs into .venv; this takes one or two minutes"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && \
	{ { $(BIN)/python -m pip install --upgrade pip && \
	    $(BIN)/python -m pip install --editable . --group $*; } >"$$log" 2>&1 & } && pid=$$! && \
	seconds=0 && while kill -0 $$pid 2>/dev/null; do \
	  sleep 1; seconds=$$((seconds + 1)); \
	  [ $$((seconds % 5)) -ne 0 ] || echo "  $$seconds s: $$(tail -n 1 "$$log" | cut -c 1-80)"; \
	done; wait $$pid || { cat "$$log"; exit 1; }
	@touch $@
