# SPDX-License-Identifier: MIT
"""The pure core: no I/O, no clock, no random, no logging. What it decides depends on its arguments
alone.
"""
