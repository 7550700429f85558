# SPDX-License-Identifier: MIT
# Thin: every target names the program that does the work.

PYTHON := build/venv/bin/python

.PHONY: help image test-image test check lint unit vm run-pair clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

image: ## build/shoestring.raw, ready to flash
	ci/build

test-image: ## the flavour with a root shell, for tests only
	ci/build --test

test: lint image test-image ## everything that gates a change: an hour or less
	$(PYTHON) -m pytest tests/unit @tests/vm/gate.txt

check: lint unit ## formatting, types, unit tests: seconds

lint: ## formatting and types
	ci/host
	build/venv/bin/ruff check .
	build/venv/bin/ruff format --check .
	build/venv/bin/mypy

unit: ## unit tests only
	ci/host
	$(PYTHON) -m pytest tests/unit

vm: image test-image ## every scenario on emulated machines
	$(PYTHON) -m pytest tests/vm

run-pair: test-image ## two machines to play with, in this terminal
	$(PYTHON) -m tests.vm.run_pair

clean: ## forget everything that was built
	rm -rf build
