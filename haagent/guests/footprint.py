# SPDX-License-Identifier: MIT
"""How much of Xen's memory a guest takes, beside its own. Pure."""

STEP = 2  # MiB
PV_EXTRA = 1  # MiB


def footprint(memory: int, vcpus: int) -> int:
    """MiB that Xen must have free to start a PV guest of MEMORY MiB with VCPUS processors.

    As libxl reckons before it makes room for one (libxl__domain_need_memory_calculate in
    tools/libs/light/libxl_mem.c of Xen 4.20): LIBXL_PV_EXTRA_MEMORY, and for page tables of its own
    1 MiB for each processor and 4 KiB for each MiB (libxl__get_required_paging_memory in
    libxl_create.c), in steps of 2 MiB. xl asks for that only where dom0 gives memory away, and ours
    does not; less may do, since Xen makes such page tables for a guest that moves while it runs.
    """
    kib = 1024 * (memory + PV_EXTRA + vcpus) + 4 * memory
    return STEP * -(-kib // (1024 * STEP))
