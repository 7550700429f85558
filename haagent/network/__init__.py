# SPDX-License-Identifier: MIT
"""Packets on real interfaces: probes, announcements, and the sockets that carry them. No policy."""
