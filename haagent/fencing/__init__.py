# SPDX-License-Identifier: MIT
"""How a node makes sure that it, or its peer, is off: the watchdog, DRBD's fence-peer handler."""
