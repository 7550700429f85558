# SPDX-License-Identifier: MIT
# Thin: every target names the program that does the work.

PYTHON := build/venv/bin/python

.PHONY: help image test-image images test check lint unit sim sim-exhaustive sim-mutants sim-accept screenshots vm demo
.PHONY: vm-soak vm-chaos reliability bench run-pair clean quick

help: ## what can be made
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

image: ## build/shoestring.raw, ready to flash
	ci/build

test-image: ## the flavour with a root shell, and its next release as an update, for tests only
	ci/build --test
	ci/build --next

images: # one after the other: they share their caches
	$(MAKE) image
	$(MAKE) test-image

test: lint ## everything that gates a change: an hour or less
	$(MAKE) --jobs=2 --output-sync=line images quick
	$(PYTHON) -m pytest @tests/vm/gate.txt

check: lint quick ## formatting, types, unit tests, simulated pairs: some minutes

quick: # as many at once as there are processors
	$(PYTHON) -m pytest --numprocesses=auto tests/unit tests/sim

lint: ## formatting and types
	ci/host
	build/venv/bin/ruff check .
	build/venv/bin/ruff format --check .
	build/venv/bin/mypy

unit: ## unit tests only
	ci/host
	$(PYTHON) -m pytest tests/unit

sim: ## simulated pairs: named histories and a thousand random ones; RUNS=n SEED=s for n random ones alone
	ci/host
	$(PYTHON) -m $(if $(RUNS),tests.sim.random --runs $(RUNS) --seed $(or $(SEED),0),pytest tests/sim)

sim-mutants: ## break every rule in turn, and see whether a test notices: ONLY=proofs. for some
	ci/host
	$(PYTHON) -m tests.sim.mutants $(if $(ONLY),--only $(ONLY)) $(if $(SAMPLE),--sample $(SAMPLE))

sim-exhaustive: ## every history of a simulated pair with three faults, and with two of all kinds
	ci/host
	$(PYTHON) -m tests.sim.exhaustive
	$(PYTHON) -m tests.sim.exhaustive --all --faults 2

sim-accept: ## write the golden logs of the named histories anew; read the difference
	SIM_ACCEPT=1 $(PYTHON) -m pytest tests/sim/test_scenarios.py

screenshots: ## docs/screens.md: every page a person meets; look at it
	ci/host
	$(PYTHON) -m tests.screens

vm: image test-image ## every scenario that has not passed yet; T=A6 for a row's, SHARD=2/5 for a fifth, AGAIN=1 for all
	$(PYTHON) -m pytest tests/vm $(if $(AGAIN),,--leave-out-passed) $(if $(T),--row $(T)) $(if $(SHARD),--shard $(SHARD))

reliability: ## docs/reliability.md: what the runs on emulated machines say of each fault
	$(PYTHON) -m tests.vm.runs.reliability

vm-soak: test-image ## N=100 power cuts of the holder under load, and both copies compared; goes on where it was
	$(PYTHON) -m tests.vm.soak --cuts $(or $(N),100) --seed $(or $(SEED),1) $(if $(AGAIN),--again)

vm-chaos: test-image ## N=10 histories of two faults at random on a healthy pair; SEED=s N=1 for one of them
	$(PYTHON) -m tests.vm.chaos --histories $(or $(N),10) --seed $(or $(SEED),0)

demo: test-image ## pull the plug of the machine that runs a guest, and count what was lost
	$(PYTHON) -m tests.vm.demo

bench: image test-image ## build/bench.md: what everything takes; ONLY=name for one measure, ADD=1 for more samples
	$(PYTHON) -m tests.vm.bench $(if $(ONLY),--only $(ONLY)) $(if $(ADD),--add) $(if $(SAMPLES),--samples $(SAMPLES))

run-pair: test-image ## two blank machines to type into a pair and play with, in this terminal
	$(PYTHON) -m tests.vm.run_pair

clean: ## forget everything that was built
	rm -rf build
