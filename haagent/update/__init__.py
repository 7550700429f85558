# SPDX-License-Identifier: MIT
"""Updates of one machine: a signed file goes into the slot that does not run, and GRUB tries it.

GRUB alone falls back: nothing in here is needed for a bad release to be given up.
"""
