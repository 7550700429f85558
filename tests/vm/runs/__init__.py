# SPDX-License-Identifier: MIT
"""Which scenarios run, what became of each, and what that says about the rows of the matrix."""
