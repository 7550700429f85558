# SPDX-License-Identifier: MIT
"""Guests as Xen knows them: text -> model, model -> argv, and running it. No policy."""
