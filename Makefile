# Two commands: `make demo` and `make test`. Each sets up what it needs.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
DBT := customer_activity/.venv
AIRFLOW := schedules/.venv

.PHONY: setup demo test test-all nightly lint bench clean .environments
.DELETE_ON_ERROR:

# Both environments at a time: one waits for the network while the other works.
setup:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "$(PYTHON) is older than 3.11; name a newer one: make PYTHON=python3.11 ..."; exit 2; }
	@$(MAKE) --no-print-directory --jobs=2 .environments

.environments: $(READY) $(DBT)/.ready
	@:

$(READY): requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --no-compile --require-hashes \
	  -r requirements.lock
	@$(BIN)/python -m compileall -qq -j 0 $(VENV)/lib || true  # on every core; pip takes one
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@$(BIN)/python -m compileall -qq contract_checks feature_access feature_pipeline feature_repo jobs scripts storage *.py
	@touch $@

demo: setup
	$(BIN)/python scripts/demo.py

# Three processes on two cores: a third of the time a test waits for a server.
test: setup lint
	$(BIN)/pytest -n 3 --dist loadscope --no-loadscope-reorder -m "not slow"

test-all: setup lint
	HYPOTHESIS_PROFILE=whole $(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder

# Every test, and 10,000 documents a property in place of 300: hours. Where this machine has servers
# of its own, what talks to one runs with them, too.
nightly: setup lint $(AIRFLOW)/.ready
	HYPOTHESIS_PROFILE=nightly $(BIN)/pytest -n 2 --dist loadscope --no-loadscope-reorder
	if command -v postgres || command -v redis-server; then TEST_SERVERS=system \
	  $(BIN)/pytest -n 2 --dist loadscope -k "postgres or redis or warehouse or production"; fi

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: setup
	$(BIN)/python benchmarks/results.py

# dbt brings sixty packages that nothing else here wants, so it lives by itself.
$(DBT)/.ready: customer_activity/requirements.lock
	$(PYTHON) -m venv --clear $(DBT)
	$(DBT)/bin/pip install --quiet --disable-pip-version-check --require-hashes \
	  -r customer_activity/requirements.lock
	@touch $@

# Airflow brings 130 packages, and is asked for by its own tests alone.
$(AIRFLOW)/.ready: schedules/requirements.lock
	$(PYTHON) -m venv --clear $(AIRFLOW)
	$(AIRFLOW)/bin/pip install --quiet --disable-pip-version-check --require-hashes \
	  -r schedules/requirements.lock
	@touch $@

clean:
	rm -rf $(VENV) $(DBT) $(AIRFLOW) customer_activity/made customer_activity/target customer_activity/logs build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis data/*/ data/*.db data/*.lock report.html
