# Two commands for a fresh clone: `make demo` and `make test`. Both use one virtual environment, .venv,
# built once from constraints.txt; another interpreter: `make PYTHON=python3.12 test`.

PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
STAMP := $(VENV)/.edgekit-installed

.PHONY: demo test install clean

demo: $(STAMP)
	$(BIN)/edgekit export efficientnet_lite0 --int8 --target all -o demo-output

test: $(STAMP)
	$(BIN)/python -m ruff format --check .
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/python -m pytest -n logical --dist loadfile

install: $(STAMP)

# The stamp is written last: an installation that was interrupted is completed the next time.
$(STAMP): Makefile pyproject.toml constraints.txt
	@echo "Installing into $(VENV), which takes a few minutes and is done once ..."
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -qq --disable-pip-version-check \
		--constraint constraints.txt --editable '.[torch,weights,hub,openvino,report,dask,microcontrollers,ethos-u,dev]'
	$(BIN)/python -c "open('$(STAMP)', 'w').close()"

clean:
	$(PYTHON) -c "import shutil; [shutil.rmtree(path, ignore_errors=True) for path in ('$(VENV)', 'demo-output', 'dist')]"
