# SPDX-License-Identifier: MIT
"""The system goes from its stick to an internal disk, and the stick stops being this machine."""
