# SPDX-License-Identifier: MIT
"""How much of Xen's memory a guest takes, beside its own. Pure."""

from haagent.guests.definition import Kind

STEP = 2  # MiB
PV_EXTRA, HVM_EXTRA = 1, 2  # MiB
# Guests of type hvm that a machine can have. dom0 has a GiB, of which half is free; a QEMU is
# thought to take 60 MiB of that.
MOST_PCS = 4


def footprint(memory: int, vcpus: int, kind: Kind = Kind.PV) -> int:
    """MiB that Xen must have free to start a guest of MEMORY MiB with VCPUS processors.

    As libxl reckons before it makes room for one (libxl__domain_need_memory_calculate in
    tools/libs/light/libxl_mem.c of Xen 4.20): LIBXL_PV_EXTRA_MEMORY or LIBXL_HVM_EXTRA_MEMORY, and
    for page tables 1 MiB for each processor and 4 KiB for each MiB, as much again where Xen keeps
    them twice (libxl__get_required_paging_memory in libxl_create.c), in steps of 2 MiB. xl asks for
    that only where dom0 gives memory away, and ours does not; less may do, since Xen makes such
    page tables for a PV guest that moves while it runs, and for others keeps them twice only where
    the processor cannot do without. What QEMU takes for one of type hvm is dom0's: MOST_PCS.
    """
    extra, tables = (PV_EXTRA, 4) if kind is Kind.PV else (HVM_EXTRA, 8)
    kib = 1024 * (memory + extra + vcpus) + tables * memory
    return STEP * -(-kib // (1024 * STEP))
