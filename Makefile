# Every target first makes the environment it needs, in $(VENV), pinned by $(LOCK).
# Needs a POSIX shell, make >= 3.81 and Python >= 3.11; nothing else. Choose the Python with: make PYTHON=python3.12 demo
SHELL = /bin/sh
VENV = .venv
LOCK = requirements/lock.txt
PY = $(VENV)/bin/python
CANDIDATES = python3 python3.13 python3.12 python3.11 python3.14 python
WORKERS = 2
SIZE = tiny
PYTEST_ARGS =

# Certificates of the system's store (needed where a proxy replaces them, harmless elsewhere).
export UV_SYSTEM_CERTS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: help demo test test-gpu bench bench-gpu lint format docs pictures wheel-check lock clean FORCE
.NOTPARALLEL:
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/  make \1|\2/p' Makefile | awk -F'|' '{ printf "%-20s %s\n", $$1, $$2 }'

demo: $(VENV)/.core-stamp  ## the main job: simulate two tracks, find what moves, write xinsar-demo/
	$(VENV)/bin/xinsar demo

test: $(VENV)/.test-stamp  ## all tests and doctests (GPU tests skip where there is none)
	$(PY) -m pytest -n $(WORKERS) $(PYTEST_ARGS)

test-gpu: $(VENV)/.test-stamp $(VENV)/.gpu-stamp  ## the tests marked gpu (Linux with a CUDA device)
	$(PY) -m pytest -m gpu $(PYTEST_ARGS)

bench: $(VENV)/.bench-stamp  ## every benchmark once, small; measure with: make bench SIZE=full
	cd benchmarks && ../$(PY) -m asv machine --yes --config asv.conf.json
	cd benchmarks && XINSAR_BENCH_SIZE=$(SIZE) ../$(PY) -m asv run --config asv.conf.json --quick --show-stderr --python=same

bench-gpu: $(VENV)/.bench-stamp $(VENV)/.gpu-stamp  ## the benchmarks that need a CUDA device
	$(PY) -m benchmarks.gpu

lint: $(VENV)/.lint-stamp  ## ruff (rules and format) and mypy --strict
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(VENV)/.lint-stamp  ## let ruff format and repair the code
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

docs: $(VENV)/.docs-stamp  ## the documentation, warnings are errors: docs/_build/html/index.html
	$(PY) -m sphinx -W --keep-going -q -b html docs docs/_build/html

pictures: $(VENV)/.docs-stamp  ## draw the pictures and measure the tables of the documentation anew
	$(PY) docs/pictures.py
	$(PY) docs/mexico.py

wheel-check: $(VENV)/.uv-stamp  ## build wheel and sdist, install the wheel alone and try it
	.ci/wheel-check $(PY)

lock: $(VENV)/.uv-stamp  ## resolve the pins anew from pyproject.toml
	$(PY) -m uv pip compile pyproject.toml --universal --python-version 3.11 --upgrade --quiet \
	  --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --group dev --all-extras --output-file $(LOCK).new
	@{ echo '# Pins for development and CI, for every platform and Python >= 3.11. Made by: make lock'; \
	   cat $(LOCK).new; } > $(LOCK)
	@rm -f $(LOCK).new

clean:  ## remove the environment and everything built
	rm -rf $(VENV) build dist docs/_build docs/_generated .asv benchmarks/.asv xinsar-demo \
	  .pytest_cache .mypy_cache .ruff_cache .hypothesis

# ---- the environment ------------------------------------------------------------------------------------------
# One environment; a stamp per set of packages, made anew when pyproject.toml or the lock changes. The lock serves
# as constraints, so that each target installs only what it needs. uv installs; pip where uv fails.
core_group =
test_group = --group test
lint_group = --group lint
docs_group = --group docs
bench_group = --group bench
gpu_extra = [gpu]

$(VENV)/.%-stamp: $(VENV)/.uv-stamp pyproject.toml $(LOCK)
	@echo "installing what '$*' needs into $(VENV)"
	@$(PY) -m uv pip install --python $(PY) --quiet -c $(LOCK) -b $(LOCK) -e '.$($*_extra)' $($*_group) \
	  || { echo "uv could not install; trying pip" >&2; \
	       $(PY) -m pip install --quiet --upgrade 'pip>=25.1' \
	       && $(PY) -m pip install --quiet -c $(LOCK) -e '.$($*_extra)' $($*_group); }
	@touch $@

# A copied or half-made environment is made anew.
ifneq ($(shell $(PY) -c 'import pip; print("ok")' 2>/dev/null),ok)
$(VENV)/.uv-stamp: FORCE
endif

$(VENV)/.uv-stamp:
	@found=; \
	for python in $(or $(PYTHON),$(CANDIDATES)); do \
	  if "$$python" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; \
	  then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
	  echo "xinsar needs Python 3.11 or newer, with the venv module; none was found among: $(or $(PYTHON),$(CANDIDATES))." >&2; \
	  echo "Install one (on Debian and Ubuntu also the package python3-venv), or name yours: make PYTHON=/path/to/python demo" >&2; \
	  exit 1; \
	fi; \
	echo "making $(VENV) with $$("$$found" -c 'import sys; print("Python", sys.version.split()[0])')"; \
	rm -rf $(VENV) && "$$found" -m venv $(VENV)
	@$(PY) -m pip install --quiet -c $(LOCK) uv || echo "uv could not be installed; pip will do its work" >&2
	@touch $@

.PRECIOUS: $(VENV)/.%-stamp
FORCE:
