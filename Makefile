# make run     one run from end to end, on sample captures or on INPUT=… (OUTPUT=… ARCHIVE=… CONFIG=…)
# make serve   Airflow with its UI on this machine (the same variables, and PORT=… SCHEDULE=… TIMEZONE=…)
# make down    stop what `make serve` started
# make test    linters, types and tests (TESTS=tests/chain or TESTS="tests/core -k text": only some)
# make coverage  the tests once more, and the lines that none of them runs; takes half as long again
# make lint, make format, make test-fast: linters and types; formatting; unit tests without Airflow, browser, databases
# make attack  try to read back what is hidden, at length (ATTACK="--quick")
# make faults  every fault, at length, with a table of what was tried (FAULTS="tests/faults/test_killed.py", EVERY=10)
# make bench   what a picture costs on its way through the chain (BENCH="--quick", "--full", "--keep NAME")
# make docs    build the documentation site into build/docs; make docs-reference, make diagrams: what it is made from
# make dist    build the source distribution and the wheel into dist/, and try the wheel as a stranger would
# make clean   remove what runs and tools left (not the installed packages: make distclean)

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-print-directory
.DELETE_ON_ERROR:
.DEFAULT_GOAL := help
.PHONY: help run serve down test test-fast coverage attack faults bench lint format lock docs docs-site \
	docs-compared docs-reference diagrams dist services checked clean distclean

# Relative paths throughout: the checkout may lie below a folder with spaces in its name.
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip install -qq --disable-pip-version-check
DOCS_VENV := .venv-docs
TESTS ?= tests
FAULTS ?= tests/faults
EVERY ?= 1
DOCS_CHECK := PYTHONPATH=.:plugins $(PY) -m scripts.docs_site --check
# Three processes also on two processors, since much of the time goes into waiting. The tests of a file share what they
# start. The files are in the order of tests/conftest.py: the longest first.
PARALLEL := -n 3 --dist loadfile --no-loadscope-reorder
# A cache that holds for every process that a test starts, also where the machine asks for none.
export PYTHONDONTWRITEBYTECODE :=
export INPUT OUTPUT ARCHIVE CONFIG PORT SCHEDULE TIMEZONE PYTHON

# The lock is given as constraints too: older versions of pip overlook a pin where a package asks for the same one with
# an extra, as in celery[redis].
# What is installed is remembered by the checksum of what was asked for, so that nothing is installed twice.
sum = $(shell cat $(1) pyproject.toml | cksum | tr -d ' ')
RUN_STAMP := $(VENV)/.run-$(call sum,requirements.lock)
TEST_STAMP := $(VENV)/.test-$(call sum,requirements-test.lock)
COMPILED_STAMP := $(VENV)/.compiled-$(call sum,requirements-test.lock)
DOCS_STAMP := $(DOCS_VENV)/.docs-$(call sum,requirements-docs.lock)

help:
	@sed -n 's/^# \(make .*\)/\1/p' Makefile

run: $(RUN_STAMP)
	@$(PY) -m scripts.run_once

serve: $(RUN_STAMP)
	@$(PY) -m scripts.serve up

down:
	@if [ -x $(PY) ]; then $(PY) -m scripts.serve down; else echo "nothing to stop: nothing is installed"; fi

# What comes before the tests takes one processor each, so it runs at once; each line's output stays in one piece.
test:
	@$(MAKE) -j 4 $(if $(filter output-sync,$(.FEATURES)),--output-sync=line) checked
	$(PY) -m pytest $(if $(filter tests,$(TESTS)),$(PARALLEL)) $(TESTS)

checked: lint services $(COMPILED_STAMP) $(if $(filter tests,$(TESTS)),docs-site docs-compared)

services:
	@./scripts/install_test_services.sh

test-fast: $(TEST_STAMP)
	$(PY) -m pytest $(PARALLEL) $(addprefix tests/,api core files imaging metadata workspace reporting review evaluation)

coverage: $(TEST_STAMP) services
	$(PY) -m pytest --cov $(PARALLEL) $(TESTS)

attack: $(TEST_STAMP)
	@$(PY) -m tests.privacy.attack $(ATTACK)

# Takes hours, so that no test is ended for being slow, and the tests of a file are shared out, too.
faults: $(TEST_STAMP) services
	ANONYMISATION_FAULTS=long ANONYMISATION_FAULTS_EVERY=$(EVERY) $(PY) -m pytest --timeout 0 -n 2 $(FAULTS)

bench: $(TEST_STAMP)
	@$(PY) -m benchmarks.chain $(BENCH)

lint: $(TEST_STAMP)
	$(PY) -m ruff check
	$(PY) -m ruff format --check
	$(PY) -m mypy
	$(VENV)/bin/lint-imports
	$(PY) -m yamllint --strict config docker

format: $(TEST_STAMP)
	$(PY) -m ruff check --fix
	$(PY) -m ruff format

# The locks hold versions and checksums and no addresses: packages come from wherever pip is configured to look.
lock: $(TEST_STAMP)
	@./scripts/lock.sh $(PY)

# The pages of the reference are compared with the code where the code's packages are installed.
docs: docs-site
	@if ls $(VENV)/.run-* >/dev/null 2>&1; then $(DOCS_CHECK); \
		else echo "the reference is not compared with the code: that needs what make run or make test installs"; fi

# Strict: every warning is an error. -E reads every page again, since a changed page may break links of others.
docs-site: $(DOCS_STAMP)
	@$(DOCS_VENV)/bin/python -m sphinx -E -q -W --keep-going -n -b html docs build/docs
	@echo "built build/docs/index.html"

docs-compared: $(TEST_STAMP)
	@$(DOCS_CHECK)

docs-reference: $(TEST_STAMP)
	@PYTHONPATH=.:plugins $(PY) -m scripts.docs_site

diagrams: $(TEST_STAMP)
	@$(PY) -m scripts.docs_site.draw

dist: $(TEST_STAMP)
	@rm -rf dist
	@$(PY) -m hatchling build -d dist
	@ANONYMISATION_WHEEL="$$(ls dist/*.whl)" $(PY) -m pytest -q tests/test_package.py

clean: down
	rm -rf .run .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(DOCS_VENV)

$(VENV)/.made:
	@python="$$(./scripts/find_python.sh)" && "$$python" -m venv $(VENV)
	@touch $@

$(RUN_STAMP): | $(VENV)/.made
	@echo "installing what requirements.lock names (once, a few minutes) …"
	@$(PIP) --require-hashes -r requirements.lock -c requirements.lock
	@$(PIP) --no-build-isolation --no-deps -e .
	@rm -f $(VENV)/.run-* && touch $@

# Made by the pip of the other environment: a pip of its own would take longer than all that it installs.
$(DOCS_STAMP): | $(VENV)/.made
	@echo "installing what requirements-docs.lock names (once) …"
	@rm -rf $(DOCS_VENV) && $(PY) -m venv --without-pip $(DOCS_VENV)
	@$(PY) -m pip --python $(DOCS_VENV) install -qq --disable-pip-version-check --no-compile --require-hashes \
		-r requirements-docs.lock
	@touch $@

$(TEST_STAMP): | $(VENV)/.made
	@echo "installing what requirements-test.lock names (once, a few minutes) …"
	@$(PIP) --no-compile --require-hashes -r requirements-test.lock -c requirements-test.lock
	@$(PIP) --no-build-isolation --no-deps -e .
	@rm -f $(VENV)/.run-* $(VENV)/.test-* && touch $(RUN_STAMP) $@

# Apart from the installation, which would wait for it. What the tests do not import is compiled if somebody does.
$(COMPILED_STAMP): $(TEST_STAMP)
	@$(PY) -m compileall -qq -x '/tests?/|/kubernetes(_asyncio)?/' $(VENV)/lib || true
	@touch $@
