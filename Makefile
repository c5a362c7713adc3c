# Two commands to begin with: `make demo` (the main job on real footage) and `make test` (the whole suite).
# Both make .venv and install what they need, pinned by constraints.txt.
.DELETE_ON_ERROR:
.PHONY: demo test test-compose check fuzz format protos bench clean

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
INSTALL := PIP_DISABLE_PIP_VERSION_CHECK=1 $(BIN)/python -m pip install --quiet --constraint constraints.txt
SEED ?= 0
CASES ?= 3000

$(VENV)/.made:
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) --upgrade pip
	touch $@

# torch first and by its pin: a resolver that meets it late may look at releases of several gigabytes.
$(VENV)/.demo: $(VENV)/.made pyproject.toml constraints.txt
	$(INSTALL) "$$(grep '^torch==' constraints.txt)"
	$(INSTALL) --editable '.[demo]'
	touch $@

$(VENV)/.tests: $(VENV)/.demo
	$(INSTALL) --group test --group check
	touch $@

demo: $(VENV)/.demo ## tune a network to replace the classical prototype; the report is demo/index.html
	$(BIN)/autoisp demo --out demo --seed $(SEED)

test: $(VENV)/.tests ## the whole suite
	$(BIN)/python -m pytest

# Not a dependency of the package's tests: it runs containers, and has an environment of its own.
$(VENV)/.compose: $(VENV)/.tests
	$(PYTHON) -m venv $(VENV)/compose
	PIP_DISABLE_PIP_VERSION_CHECK=1 $(VENV)/compose/bin/python -m pip install --quiet --constraint constraints.txt podman-compose
	touch $@

test-compose: $(VENV)/.compose ## compose.yaml and the overlay dev for real, in podman; OPTIONS of tests/deploy/run_compose.py
	$(BIN)/python tests/deploy/run_compose.py --podman-compose $(VENV)/compose/bin/podman-compose $(OPTIONS)

check: $(VENV)/.tests ## style, types, import rules, generated code, wire contract
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python protos/generate.py --check
	cd protos && ../$(BIN)/buf lint
	cd protos && ../$(BIN)/buf breaking --against ../tests/assets/wire/v1/contract.binpb

fuzz: $(VENV)/.tests ## thousands of damaged files and malformed requests: for a night, not for a change
	AUTOISP_FUZZ_CASES=$(CASES) $(BIN)/python -m pytest tests/integration/test_ingest_fuzz.py
	AUTOISP_FUZZ_CASES=$(CASES) AUTOISP_FUZZ_SEED=$(SEED) $(BIN)/python -m pytest tests/integration/test_fuzz_rpcs.py

format: $(VENV)/.tests
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

protos: $(VENV)/.tests ## regenerate the code of the wire contract
	$(BIN)/python protos/generate.py

bench: $(VENV)/.tests ## ratios against the bare operation; results in tests/bench/results
	$(BIN)/python tests/bench/overhead.py
	$(BIN)/python tests/bench/upload.py
	$(BIN)/python tests/bench/ingest.py
	$(BIN)/python tests/bench/registry.py
	$(BIN)/python tests/bench/registry_list.py

clean:
	rm -rf $(VENV) demo .autoisp .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
