# SPDX-License-Identifier: MIT
"""How the two nodes talk: the wire format, our own datagrams, and heartbeat. No policy."""
