# Every target sets up what it needs: a virtual environment in .venv, the package built in place, the tools.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
NATIVE = $(shell find ext -type f) setup.py pyproject.toml
PACKAGED = $(NATIVE) $(shell find fovideo -name '*.py*' -not -name '*.pyc') MANIFEST.in README.md LICENSE
# What the tests run against: the sources, or with AGAINST=wheel what a user installs.
TESTED = $(VENV)$(if $(filter wheel,$(AGAINST)),-wheel)
PYTEST = PYTHONSAFEPATH=1 $(TESTED)/bin/python -m pytest --benchmark-disable \
	$(if $(filter wheel,$(AGAINST)),--from-wheel -p no:cacheprovider)

.PHONY: demo test lint style types stubs imports format bench bench-smoke wheel test-wheel clean

demo: $(VENV)/.ready
	$(BIN)/fovideo demo

# Real processes and cameras wait more than they compute: three files of them at a time. 5: none of that kind was asked for.
test: $(TESTED)/.ready
	$(PYTEST) -n auto --maxprocesses 4 --dist worksteal -m "not e2e" $(TESTS) || test $$? = 5
	$(PYTEST) -n 3 --dist loadfile -m e2e $(TESTS) || test $$? = 5

lint: style types stubs imports

style: $(VENV)/.ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.ready
	$(BIN)/mypy

stubs: $(VENV)/.ready
	$(BIN)/python -m mypy.stubtest $$(cd ext && find fovideo -name '*.pyx' | sed 's/\.pyx$$//; s#/#.#g' | sort)

imports: $(VENV)/.ready
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
wheel: dist/.built

dist/.built: $(PACKAGED) | $(VENV)/.ready
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	touch $@

test-wheel:
	$(MAKE) test AGAINST=wheel

$(VENV)-wheel/.ready: dist/.built
	rm -rf $(VENV)-wheel && $(PYTHON) -m venv $(VENV)-wheel
	$(VENV)-wheel/bin/python -m pip install --quiet --upgrade pip
	$(VENV)-wheel/bin/python -m pip install --quiet --group dev dist/*.whl
	touch $@

clean:
	rm -rf $(VENV) $(VENV)-wheel build dist *.egg-info
	find fovideo -name '*.so' -delete

$(VENV)/.ready: $(NATIVE)
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --group dev --editable .
	touch $@
