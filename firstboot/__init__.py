# SPDX-License-Identifier: MIT
"""The first-boot wizard: what a person meets on the console until the machine belongs to a pair."""
