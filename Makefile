# What one does with this project. It needs python3 (3.10 or newer) with pip and venv, and make.
# The first run makes the virtual environment .venv; later ones find it there.

PYTHON ?= python3
BIN := .venv/bin

# Seconds for each target of `make fuzz`.
TIME ?= 60

.PHONY: help demo test check fix bench bench-perf docs fuzz clean
.NOTPARALLEL:

help:
	@echo "make demo   start the embedded server and let image_client read handwritten digits"
	@echo "make test   run the tests; ARGS='-k name' chooses some"
	@echo "make check  check style and types"
	@echo "make fix    correct the style"
	@echo "make docs   run the code in the documentation"
	@echo "make bench  measure speed beside the official client"
	@echo "make bench-perf  measure perf_analyzer; PERF_ANALYZER=FILE names the official one"
	@echo "make fuzz   feed what reads a peer's bytes with what breaks it; TIME=60 seconds for each target"
	@echo "make clean  remove what these made"

demo: .venv/.test
	@$(BIN)/python scripts/demo.py

test: .venv/.test
	@$(BIN)/python -m pytest $(ARGS)

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
	@$(BIN)/python -m pytest --quiet tests/test_examples.py -k document

bench: .venv/.test
	@$(BIN)/python -m benchmarks

bench-perf: .venv/.test
	@$(BIN)/python -m benchmarks.load $(ARGS)

fuzz: .venv/.fuzz
	@$(BIN)/python -m fuzzing --time $(TIME) $(ARGS)

clean:
	@rm -rf .venv .fuzz .mypy_cache .ruff_cache .hypothesis

# The dependency groups of pyproject.toml, installed once and again whenever that file changes.
# pip is upgraded first because --group needs 25.1. Its output is shown only when it fails.
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.venv/.test .venv/.check .venv/.fuzz: .venv/.%: pyproject.toml
	@echo "Installing what 'make $*' needs into .venv, which may take a minute"
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@log=$$(mktemp) && trap 'rm -f "$$log"' EXIT && \
	{ $(BIN)/python -m pip install --upgrade pip && \
	  $(BIN)/python -m pip install --editable . --group $*; } >"$$log" 2>&1 || { cat "$$log"; exit 1; }
	@touch $@
