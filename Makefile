# `make demo` and `make test` are all a fresh machine needs besides Python >= 3.11.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml constraints.txt

.PHONY: demo test clean

demo: $(VENV)/.core  ## install without torch, diagnose a bundled page, show the answer and the annotated picture
	$(BIN)/ecglens diagnose examples/page.png --output demo

test: $(VENV)/.dev  ## everything CI checks: format, lint, types, imports, tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/pytest

clean:
	rm -rf $(VENV) demo

$(VENV)/.core: $(SOURCES)
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet -e . -c constraints.txt
	touch $@

$(VENV)/.dev: $(VENV)/.core
	$(BIN)/pip install --quiet -e '.[dev]' -c constraints.txt
	touch $@
