# SPDX-License-Identifier: MIT
"""Rules that a program breaks, one by one: each has to be seen by a test of the core.

`python -m tests.sim.mutants` tries them all. What is broken is told by `grammar` (every
comparison, operand, return ...) and `named` (every proof, inequality, persisted field, refusal);
`planting` puts it into a process of its own, and `trial` asks the tests there.
"""
