# SPDX-License-Identifier: MIT
"""The failover agent of a Shoestring pair."""

__version__ = "0.1.0"
