# SPDX-License-Identifier: MIT
# Thin: every target names the program that does the work.

PYTHON := build/venv/bin/python

.PHONY: help image test-image test check unit vm run-pair clean

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 14

image: ## build/shoestring.raw, ready to flash
	ci/build

test-image: ## the flavour with a root shell, for tests only
	ci/build --test

test: check vm ## everything that gates a change

check: ## formatting, types, unit tests: seconds
	ci/host
	build/venv/bin/ruff check .
	build/venv/bin/ruff format --check .
	build/venv/bin/mypy
	$(PYTHON) -m pytest

unit: ## unit tests only
	$(PYTHON) -m pytest

vm: image test-image ## the scenarios of tests/vm/gate.txt on emulated machines
	$(PYTHON) -m tests.vm

run-pair: test-image ## two machines to play with, in this terminal
	$(PYTHON) -m tests.vm.run_pair

clean: ## forget everything that was built
	rm -rf build
