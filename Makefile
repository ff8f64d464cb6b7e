# Every target works as the first command on a machine with Python (>= 3.11) and make.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
# Bytecode is kept even where the environment says not to: uv leaves it to the first import, and hundreds of processes
# that each compile torch and scikit-learn again take minutes.
export PYTHONDONTWRITEBYTECODE :=
# What `make figures` runs on; DATA=imagefolder:/path BUDGET=full is the real thing.
DATA   ?= digits
BUDGET ?= demo
OUT    ?= figures

.DEFAULT_GOAL := help
.PHONY: help setup check test mutants figures tables bench soak docs site clean

help: ## list the targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | awk -F':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

setup: $(READY) ## create .venv and install repdiag with its development tools

# uv resolves and installs in a minute what pip needs ten for; it lives inside the environment, nothing global is touched.
$(READY): pyproject.toml
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m uv --version >/dev/null 2>&1 || $(BIN)/python -m pip install --quiet uv
	$(BIN)/python -m uv pip install --quiet --python $(BIN)/python -e '.[dev]'
	@touch $@

check: $(READY) ## ruff, mypy --strict, import contracts, words of the docs
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.prose

test: $(READY) ## all tests: CPU, no network
	OMP_NUM_THREADS=1 $(BIN)/pytest -n auto --dist loadfile --no-loadscope-reorder

mutants: $(READY) ## change the code a little, many times: does a test fail? some minutes of one core
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.mutation

figures: $(READY) ## small against large encoder: train, compare, draw; ends in $(OUT)/index.html
	$(BIN)/python -m analyses.published_architectures.run --out $(OUT)/published_architectures
	$(BIN)/python -m analyses.small_vs_large.run --data '$(DATA)' --budget $(BUDGET) --out $(OUT)

tables: $(READY) ## draw the tables of calibration and coverage in docs/ again; some hours of one core, kept in build/ and resumed
	$(BIN)/python -m benchmarks.calibration --write
	$(BIN)/python -m benchmarks.other_spaces --write
	$(BIN)/python -m benchmarks.coverage --trials 200 --write

bench: $(READY) ## speed and memory claims, each a ratio measured in one run
	$(BIN)/python -m benchmarks

soak: $(READY) ## kill trainings and other commands 600 times, fill their disk, read 10,000 hostile files; each must end right
	$(BIN)/python -m benchmarks.soak
	$(BIN)/python -m benchmarks.soak_results
	$(BIN)/python -m benchmarks.hostile_files --files 10000

docs: $(READY) ## regenerate the generated pages of docs/
	$(BIN)/python -m docs.generate

site: $(READY) ## build the documentation site into site/
	@test -x $(BIN)/mkdocs || $(BIN)/python -m uv pip install --quiet --python $(BIN)/python -e '.[docs]'
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean: ## remove the environment, caches and results
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis $(OUT) runs site
