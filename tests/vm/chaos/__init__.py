# SPDX-License-Identifier: MIT
"""Two faults at random on a healthy pair, mended, and judged."""
