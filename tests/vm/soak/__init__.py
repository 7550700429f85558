# SPDX-License-Identifier: MIT
"""Power cuts of the machine that runs the guest, one after the other, and both copies compared."""
