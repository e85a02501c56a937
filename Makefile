# Two commands for a new user: make demo, make test. Both make .venv and install what they need; run again, they start at once.
PYTHON ?= python3
BIN := .venv/bin

.PHONY: demo test lint types unit gate wheel bench torture test-versions test-engines bench-engines test-browser test-tools model clean

demo: .venv/installed
	@echo "--- data/example.txt, filtered:" && $(BIN)/consent-detector filter data/example.txt
	@echo "--- every paragraph with its probability:" && $(BIN)/consent-detector score data/example.txt

test: lint types unit gate wheel

lint: .venv/tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/tested
	$(BIN)/mypy

unit: .venv/tested
	$(BIN)/python -m pytest

# figures of the shipped model on committed cases and documents, against the floors in data/floors.json
gate: .venv/installed
	$(BIN)/consent-training gate

# the wheel, installed alone in an empty environment, filters a document
wheel: .venv/tested
	$(BIN)/python tests/check_wheel.py

# bad models, bad texts, bad files, a fuzzer, runs that are disturbed: some minutes, and a table of what was tried; FUZZ_SECONDS for each target of the fuzzer
torture: .venv/tortured
	$(BIN)/python -m pytest tests/torture

# the detector's tests, and a fit, with the lowest versions that pyproject.toml allows, and without the compiled scoring; the newest versions are those
# of .venv. With PYTHONS="python3.12 python3.13" all tests on other Pythons too, in environments named after them
LOWEST := $(addprefix tests/test_,$(addsuffix .py,adapters cli context corpus explain features filtering fit golden offline paragraphs persistence \
	pieces policies run same sentences))
test-versions: .venv-lowest/installed $(PYTHONS:%=test-on-%)
	CONSENT_DETECTOR_COMPILED=0 .venv-lowest/bin/python -m pytest $(LOWEST)

test-on-%: .venv-%/installed
	.venv-$*/bin/python -m pytest

# speed and memory, as ratios; let nothing else run meanwhile
bench: .venv/tested
	$(BIN)/consent-training benchmark

# the adapters on the engines themselves: 2 GB of packages, which make test does without; Spark needs Java 17 or later besides
test-engines: .venv-engines/installed .venv-dolma/installed
	.venv-engines/bin/python -m pytest tests/engines

# the page of consent-detector review in a headless Chromium; needs chromium and chromedriver (Debian: chromium, chromium-driver)
test-browser: .venv/browser
	$(BIN)/python -m pytest tests/browser

# each adapter beside filter_batch in one process, on labelled documents: the tables of README.md
bench-engines: .venv-engines/installed
	.venv-engines/bin/python -W ignore -m tests.engines.bench $(PAGES)

# round trips through Label Studio's converter and doccano, whose files tests/cases/annotations holds: 1.4 GB of packages
test-tools: .venv-tools/installed .venv-doccano/installed
	.venv-tools/bin/python -m pytest tests/tools

# the shipped model; PAGES and STRINGS are prepared files of labelled public texts, PACKAGES is fetched (data/README.md)
PAGES ?= ../shared/pages/pages.jsonl.gz ../shared/pages/wcxb.jsonl.gz
STRINGS ?= ../shared/strings/consent.jsonl ../shared/strings/prose.jsonl.gz
PACKAGES ?= build/packages.jsonl.gz
model: .venv/installed $(PACKAGES)
	$(BIN)/consent-training fit --pages $(PAGES) --strings $(STRINGS) --packages $(PACKAGES) -o detector/model/consent.joblib --jobs 2 --force

build/packages.jsonl.gz: .venv/tested data/packages.json
	mkdir -p build
	$(BIN)/consent-training sources fetch -o $@

.venv/installed: pyproject.toml detector/native/scoring.c
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

.venv/tested: pyproject.toml detector/native/scoring.c
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@ .venv/installed

.venv/browser: .venv/tested
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,browser]'
	touch $@

.venv/tortured: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,torture]'
	touch $@ .venv/tested .venv/installed

.venv-lowest/installed: pyproject.toml tests/lowest.py
	test -x .venv-lowest/bin/python || $(PYTHON) -m venv .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check $$($(PYTHON) tests/lowest.py) --editable .
	touch $@

.PRECIOUS: .venv-python%/installed
.venv-python%/installed: pyproject.toml
	test -x .venv-python$*/bin/python || python$* -m venv .venv-python$*
	.venv-python$*/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

.venv-engines/installed: pyproject.toml
	test -x .venv-engines/bin/python || $(PYTHON) -m venv .venv-engines
	.venv-engines/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev,engines]'
	touch $@

# dolma 1.2 needs numpy before 2 (and Python before 3.13), datatrove numpy 2; without the pins pip tries releases of what s3fs 2023.6 needs for many minutes
.venv-dolma/installed: Makefile
	test -x .venv-dolma/bin/python || $(PYTHON) -m venv .venv-dolma
	.venv-dolma/bin/python -m pip install --quiet --disable-pip-version-check 'dolma==1.2.1' 'aiobotocore==2.5.4' 'boto3==1.28.17'
	touch $@

.venv-tools/installed: pyproject.toml
	test -x .venv-tools/bin/python || $(PYTHON) -m venv .venv-tools
	.venv-tools/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[tools]'
	touch $@

# doccano 1.8 needs pandas 1, so numpy 1, and its environs an older marshmallow (and Python before 3.12)
.venv-doccano/installed: Makefile
	test -x .venv-doccano/bin/python || $(PYTHON) -m venv .venv-doccano
	.venv-doccano/bin/python -m pip install --quiet --disable-pip-version-check 'doccano==1.8.4' 'numpy<2' 'marshmallow<4' 'setuptools<80'
	touch $@

clean:
	rm -rf .venv .venv-* build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
