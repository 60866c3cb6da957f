# 'make demo' runs the main job, 'make test' the tests, 'make docs' writes the documentation to site/;
# each makes .venv and installs what it needs.
PYTHON ?= python3
VENV ?= .venv
# PyPI's own Linux build of torch brings gigabytes of CUDA; this index has the CPU build.
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu
TORCH ?= torch==2.13.0
BIN := $(VENV)/bin
# NEST and BLAS threads that wait by spinning take the cores from each other.
export OMP_WAIT_POLICY ?= passive

.PHONY: demo test test-slow test-board test-frameworks test-simulators test-mpi lint docs clean

demo: $(VENV)/.demo
	$(BIN)/snn-ssm demo

test: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -n auto

test-slow: $(VENV)/.test
	$(BIN)/python -m pytest -m slow

# SNN_SSM_APLX: the folder with the programs of native and gated cells (docs/how-to/spinnaker.md).
test-board: $(VENV)/.test
	$(BIN)/python -m pytest -m board

test-frameworks: $(VENV)/.frameworks
	$(BIN)/python -m pytest -m frameworks

# Brian 2 wants an older NumPy, and PyNN compiles for NEURON for a minute: an environment of its own.
test-simulators: $(VENV)-simulators/.simulators
	$(VENV)-simulators/bin/python -m pytest -m simulators tests/pynn/test_pynn_s[ci]*.py tests/nest/test_nestml.py

# NEST_MPI: the prefix of a NEST built with MPI (docs/how-to/scale.md); mpiexec on PATH is its MPI's.
test-mpi: $(VENV)/.test
	$(BIN)/pip install --quiet mpi4py
	PYTHONPATH="$$(echo $(NEST_MPI)/lib*/python3.*/site-packages)" $(BIN)/python -m pytest -m mpi

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/.docs
	PATH="$(abspath $(BIN)):$$PATH" NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

clean:
	rm -rf $(VENV) $(VENV)-simulators demo site

$(VENV)/.venv:
	@command -v g++ >/dev/null || command -v "$${CXX:-g++}" >/dev/null || { \
	  echo "A C++ compiler is needed to build the NEST neuron: apt-get install g++" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or later is needed: make PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' || { \
	  echo "Python's venv module is needed: apt-get install python3-venv" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --retries 1 --extra-index-url $(TORCH_INDEX) $(TORCH)
	touch $@

$(VENV)/.demo: $(VENV)/.venv setup.cfg
	$(BIN)/pip install --quiet --editable '.[train,nest]'
	touch $@

$(VENV)/.test: $(VENV)/.demo
	$(BIN)/pip install --quiet --editable '.[train,nest,spinnaker,nir,parquet,events,dev]'
	touch $@

$(VENV)/.frameworks: $(VENV)/.test
	$(BIN)/pip install --quiet --extra-index-url $(TORCH_INDEX) --editable '.[frameworks]'
	$(BIN)/pip install --quiet --no-deps 'sinabs==3.1.*'
	touch $@

$(VENV)-simulators/.simulators: setup.cfg
	$(PYTHON) -m venv $(VENV)-simulators
	$(VENV)-simulators/bin/pip install --quiet --editable '.[nest,brian2,neuron,nestml,dev]'
	touch $@

$(VENV)/.docs: $(VENV)/.demo
	$(BIN)/pip install --quiet --editable '.[train,nest,spinnaker,docs]'
	touch $@
