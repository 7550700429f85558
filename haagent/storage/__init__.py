# SPDX-License-Identifier: MIT
"""The guests' disks, DRBD and LVM: text -> model, model -> argv, and running it. No policy."""
