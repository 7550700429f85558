# SPDX-License-Identifier: MIT
"""Backups of a guest: one file each, written and read from its beginning to its end, in a pipe too.

A file is called NAME-2026-11-30T0200Z.full.shoestring, or .incremental. (naming.py); what counts is
what is in it. Numbers are big-endian, sums are BLAKE2b of 32 bytes (layout.py):

    start      a mark, the format's version, the length of the head
    head       JSON: the backup's id, the guest, when, its definition as YAML text, the disks with
               their sizes, the size of a block, the base of an incremental one (head.py); its sum
    blocks     those that are stored, by disk and place: which disk, which block, how long it is
               packed, the sum of what it holds; then one frame of zstd
    index      for every block of every disk the sum of what it holds and the length that is stored
               here, in pieces of 4096, each a frame of zstd (index.py)
    closing    where the index begins, how long the file is, the digest of the backup, and a sum
               over every byte before that

*A block that is zero* has an index entry of zeros and nothing else; packed, that is next to none.
An incremental backup stores the blocks whose sum differs from that in the index of its base. Its
own index has the sums of *all* blocks, so that the next one needs no more than this one, and each
block that comes from a base is known by its sum before anything is written. *Where* a block is
stored is not in the index: they follow each other, so the lengths tell, and no file can point two
blocks at one place or out of itself.

*The digest* is over the head and the index unpacked. They hold the sum of every block, so it stands
for all that can be restored, and it is checked whenever a file is opened. An incremental backup
names its base by id and digest: another one, or one made anew, is not taken. The sum over every
byte is for `examine` (examining.py), which reads all of a file once and also takes a pipe.

*Blocks of 1 MiB.* With smaller ones an incremental backup has less in it that did not change; but
each costs 36 bytes of memory, and as many for the base, in a dom0 of 1 GiB: a disk of 2 TiB has
72 MiB of index with 1 MiB and 1.1 GiB with 64 KiB. zstd gains little from larger ones (4 MiB: 2 %
of a file), and a guest that writes here and there makes an incremental backup up to four times as
large. So it is 1 MiB, and 4 MiB only for guests of more than 2 TiB. 64 KiB to 4 MiB can be read; a
whole guest has at most 2 Mi blocks.

*What is not promised.* Sums tell damage, not malice: whoever can write such a file can write any
guest into it. It is not encrypted. But whatever is in a file, reading it takes no more than the
memory said above, and writes nothing but the disks it names to where the caller says.

*Whole or not.* A file is NAME.part until all of it is on the disk. In a pipe the closing tells.
Damage of one block is told by disk and byte, and a file without its end by how far it goes.
`plain.py` has the other kind: raw disks and SHA256SUMS, for whom nothing of ours shall be needed.
"""
