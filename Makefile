# Every target sets up what it needs: a virtual environment in .venv, the package built in place, the tools.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
NATIVE = $(shell find ext -type f) setup.py pyproject.toml

.PHONY: demo test lint format bench bench-smoke wheel test-wheel clean

demo: $(VENV)/.ready
	$(BIN)/fovideo demo

test: $(VENV)/.ready
	$(BIN)/python -m pytest --benchmark-disable $(TESTS)

lint: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest $$(cd ext && find fovideo -name '*.pyx' | sed 's/\.pyx$$//; s#/#.#g' | sort)
	$(BIN)/lint-imports

format: $(VENV)/.ready
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The whole table beside its peers, about ten minutes on two cores; BENCH=--full takes the sizes of the targets.
bench: $(VENV)/.ready
	$(BIN)/python -m pip install --quiet --editable '.[bench]'
	$(BIN)/python -m benchmarks $(BENCH)

bench-smoke: $(VENV)/.ready
	$(BIN)/python -m pytest -q benchmarks --benchmark-disable

# The wheel is built from the source distribution, so a file that the sdist forgets breaks here and not at a user's.
wheel: $(VENV)/.ready
	rm -rf dist
	$(BIN)/python -m build --outdir dist .

test-wheel: wheel
	rm -rf $(VENV)-wheel && $(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-wheel/bin/python -m pip install --quiet --group dev dist/*.whl
	$(VENV)-wheel/bin/pytest -q --benchmark-disable -p no:cacheprovider -m "not e2e and not slow" tests

clean:
	rm -rf $(VENV) $(VENV)-wheel build dist *.egg-info
	find fovideo -name '*.so' -delete

$(VENV)/.ready: $(NATIVE)
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $@
