# SPDX-License-Identifier: MIT
"""Disks of virtual machines that come from elsewhere: what they are, and how they get onto a
volume.

An image is written by strangers, and a program that understands it can be led by it to other files
of this machine. So what an image is, is told by its first bytes (recognition), its header is read
by us first (qcow2, vmdk, vdi) and refused if it leads anywhere; only then `qemu-img` sees it, and
is told the format, never asked for it. Nothing is unpacked: a disk inside of an OVA is read where
it lies (blob).
"""
