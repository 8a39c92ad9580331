# Commands for working on this project. They need python3 (3.10 or newer) with pip and venv, and make.
# The first run creates the virtual environment .venv; later runs use it.

PYTHON ?= python3
BIN := .venv/bin

# What the tests fetch; TRITON_TEST_CACHE chooses another place.
CACHE := $(or $(TRITON_TEST_CACHE),$(or $(XDG_CACHE_HOME),~/.cache)/tritonclient-tests)

# Seconds for each target of `make fuzz`.
TIME ?= 60

# The unit tests, without those that take more than some seconds.
QUICK := -m "unit and not slow and not long"

.PHONY: help quick demo test test-all test-units test-long test-java test-long-java test-cpp test-docs \
	test-peers check fix bench bench-quick bench-perf docs fuzz clean
.NOTPARALLEL:

help:
	@echo "make quick        run the unit tests: one minute"
	@echo "make demo         the embedded server and image_client read handwritten digits: 10 seconds"
	@echo "make test         run all tests: about 30 minutes; downloads about 1 GB once;"
	@echo "                  ARGS='-k name' selects tests"
	@echo "make test-docs    run the code of README.md and docs/: 10 seconds"
	@echo "make test-all     run all tests under every installed Python from 3.10 on"
	@echo "make test-units   run the unit tests under each of them, and those of Python models"
	@echo "make test-long    run the tests that take hours; ARGS='-k name' selects tests"
	@echo "make test-java    run the tests of the Java client; test-long-java those that take long"
	@echo "make test-cpp     run the C++ client's tests, also under sanitizers and fuzzing"
	@echo "make test-peers   run the tests with other servers and packages; installs them (5 minutes)"
	@echo "make check        check style and types: one minute; after a change of C++ sources some more"
	@echo "make fix          correct the style"
	@echo "make docs         build the documentation site into site/: half a minute"
	@echo "make bench        compare speed with the official client: 20 minutes"
	@echo "make bench-quick  measure the budgeted cases: 3 minutes; BASE=COMMIT compares with a commit"
	@echo "make bench-perf   measure perf_analyzer; PERF_ANALYZER=FILE names the official one"
	@echo "make fuzz         fuzz the parsers of network data; TIME=60 seconds for each"
	@echo "make clean        remove .venv and the caches of the tools"
	@echo "The first run installs packages into .venv, which takes one or two minutes."

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
	@$(BIN)/nox -- -q -m "(unit or versions) and not slow and not long" $(ARGS)

test-long: .venv/.test
	@$(BIN)/python -m pytest -m long $(ARGS)

# The tests of the Java client, which need a JDK (17 or newer) and Maven. Those that take long make
# 100,000 calls and look at what they leave behind.
test-java: .venv/.test
	@$(BIN)/python -m pytest tests/languages/test_java.py $(ARGS)

test-long-java:
	@cd java && mvn -B -ntp -q test -Dtest.excluded= -Dtest.groups=long -Dsurefire.failIfNoSpecifiedTests=false

# What takes long: sanitizers, fuzzing (TIME seconds for each target), 100,000 calls.
test-cpp: .venv/.test
	@$(BIN)/python -m pytest -m "not peers" tests/languages/test_cpp.py tests/languages/test_cpp_package.py
	@cpp/tests/sanitize $(TIME)

# The types are checked against the packages that the source imports, so these must be there too.
check: .venv/.test .venv/.check
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy
	@$(BIN)/pyright
	@cpp/tests/check

test-peers: .venv/.test
	@$(BIN)/python -m pytest -m peers tests/peers $(ARGS)

fix: .venv/.check
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

test-docs: .venv/.test
	@$(BIN)/python -m pytest --quiet tests/examples/test_examples.py -k document $(ARGS)

docs: .venv/.docs
	@$(BIN)/python -m sphinx --quiet --fresh-env --fail-on-warning --keep-going docs site
	@echo "Built site/index.html"

bench: .venv/.test
	@$(BIN)/python -m benchmarks $(ARGS)
	@$(BIN)/python -m benchmarks.mapping
	@$(BIN)/python -m benchmarks.embedded

bench-quick: .venv/.test
	@$(BIN)/python -m benchmarks --quick $(if $(BASE),--base $(BASE)) $(ARGS)

bench-perf: .venv/.test
	@$(BIN)/python -m benchmarks.load $(ARGS)

fuzz: .venv/.fuzz
	@$(BIN)/python -m fuzzing --time $(TIME) $(ARGS)

clean:
	@rm -rf .venv .nox .fuzz site .mypy_cache .ruff_cache .hypothesis

# The dependency groups of pyproject.toml, installed once and again whenever that file changes.
# pip is upgraded first because --group needs 25.1. Its output is shown only when it fails; until
# then, every few seconds, its last line.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.venv/.test .venv/.check .venv/.docs .venv/.fuzz .venv/.nox: .venv/.%: pyproject.toml
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
