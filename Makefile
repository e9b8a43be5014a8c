# The two commands:  make bundle   builds, verifies, stages and extracts a bundle     (RECIPE=recipes/hello for a tiny one)
#                    make test     runs all tests
#                    make boot     boots the bundle with no way out, and reports   (root)
# SETUP=1 installs what the system lacks (Debian packages); without it the first lines say what is missing.

RECIPE ?= recipes/rke2-v1.34
OUT    ?= out
PYTHON ?= python3
VENV   ?= .venv

export SETUP MINUTES
sealift = $(VENV)/bin/sealift
minutes = scripts/minutes.sh

.PHONY: bundle boot test fuzz check check-all check-arm64 bench generate clean

bundle: $(VENV)/.installed
	@scripts/doctor.sh $(sealift) $(RECIPE)
	@$(minutes) "bundle $(notdir $(RECIPE))" scripts/bundle.sh $(VENV)/bin $(RECIPE) $(OUT)

boot: bundle
	@scripts/system.sh scripts/boot.packages
	@$(minutes) "boot" $(VENV)/bin/sealift-node prove "$$(cat $(OUT)/bundle)" \
	  --report $(OUT)/report.json --insecure-no-signature

test: $(VENV)/.installed-test
	@scripts/system.sh tests/system.packages
	@$(minutes) "check" $(MAKE) --no-print-directory check
	@$(MAKE) --no-print-directory bundle RECIPE=recipes/hello
	@$(MAKE) --no-print-directory bundle RECIPE=recipes/rke2-v1.34-modern
	@$(MAKE) --no-print-directory bundle RECIPE=recipes/rke2-v1.34
	@$(minutes) "tests" $(VENV)/bin/python -m pytest -n 2 --dist worksteal $(TESTS)
	@$(if $(TESTS),,$(minutes) "fuzz" $(VENV)/bin/python -m tests.fuzz.run --seconds 60 --seed 1)

# The long way: more examples of every property, then SECONDS for each target (TARGETS="tar json": these alone), which
# goes on where the last run ended. What is found stays in out/fuzz.
fuzz: SECONDS ?= 600
fuzz: $(VENV)/.installed-test
	@$(minutes) "properties" $(VENV)/bin/python -m pytest -q -n 2 --hypothesis-profile=fuzz tests/fuzz
	@$(minutes) "fuzz" $(VENV)/bin/python -m tests.fuzz.run --keep --seconds $(SECONDS) $(TARGETS)

# Builds RECIPE, then all of it a second time from nothing, and says of what differs where and how. Twice as long. For a
# recipe with a build root the machine is poisoned meanwhile: whoever asks its compilers fails.
check-all: $(VENV)/.installed
	@scripts/doctor.sh $(sealift) $(RECIPE)
	@$(minutes) "check-all" $(if $(shell grep -sx 'buildroot:' $(RECIPE)/lock.yaml),scripts/poisoned.sh) $(sealift) build $(RECIPE) --output $(OUT)/bundles --check

# The default recipe for arm64: compiled here, then every program is started in qemu-user and must say what the one for this
# machine (amd64) says; etcd, CoreDNS, helm and others do some work. Half an hour and 15 GB the first time.
check-arm64: bundle
	@scripts/system.sh tests/system.packages
	@$(minutes) "arm64" scripts/emulate.sh $(VENV)/bin $(RECIPE) $(RECIPE)-arm64 $(OUT)

# Formatting, lint and types.
check: $(VENV)/.installed-test
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy

# Measures against what it replaces; ONLY="boot startup" for a part of it.
bench: $(VENV)/.installed-test bundle
	@scripts/system.sh tests/system.packages
	@$(minutes) "bench" $(VENV)/bin/python -m bench.run $(ONLY)

# Rewrites what is generated from the code; the tests fail when it differs.
generate: $(VENV)/.installed
	$(sealift) schema --output recipes/schema.json
	$(VENV)/bin/python scripts/generate.py

$(VENV)/bin/python:
	@scripts/system.sh scripts/python.packages
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml scripts/constraints.txt | $(VENV)/bin/python
	@$(minutes) "install" $(VENV)/bin/pip install --quiet -c scripts/constraints.txt -e .
	@touch $@

$(VENV)/.installed-test: pyproject.toml scripts/constraints.txt | $(VENV)/bin/python
	@$(minutes) "install for tests" $(VENV)/bin/pip install --quiet -c scripts/constraints.txt -e ".[test,fuzz]" || \
	  { echo "make: if it is atheris (fuzzing): it has wheels for CPython 3.11 to 3.13 on Linux; name one with PYTHON=" >&2; \
	    exit 1; }
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(OUT) $(VENV)
