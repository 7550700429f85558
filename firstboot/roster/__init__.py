# SPDX-License-Identifier: MIT
"""The pair's list of guests, and how it changes on both machines or on neither."""
