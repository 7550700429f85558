# SPDX-License-Identifier: MIT
"""What more than one scenario tells: faults, a person's acts, and how a pair stands after them."""
