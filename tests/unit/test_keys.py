# SPDX-License-Identifier: MIT
"""The keys of a pair: the test vectors of the RFC, and that no two things share a key."""

import re

from firstboot.keys import agent, heartbeat, hkdf, mirror, physical_volume

SECRET = "00112233445566778899aabbccddeeff"


def test_hkdf_gives_the_bytes_of_rfc_5869() -> None:
    """Its appendices A.1, A.2 (several blocks) and A.3 (no salt, no info)."""
    assert hkdf(b"\x0b" * 22, bytes(range(13)), bytes(range(0xF0, 0xFA)), 42).hex() == (
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865"
    )
    assert hkdf(
        bytes(range(80)), bytes(range(0x60, 0xB0)), bytes(range(0xB0, 0x100)), 82
    ).hex() == (
        "b11e398dc80327a1c8e7f78c596a49344f012eda2d4efad8a050cc4c19afa97c"
        "59045a99cac7827271cb41c65e590e09da3275600c2f09b8367793a9aca3db71"
        "cc30c58179ec3e87c14c01d5c1f3434f1d87"
    )
    assert hkdf(b"\x0b" * 22, b"", b"", 42).hex() == (
        "8da4e775a563c18f715f802a063c5a31b8a11f5c5ee1879ec3454e5f3c738d2d9d201395faa4b61a96c8"
    )


def test_every_key_is_another_one() -> None:
    keys = [mirror(SECRET, "a"), mirror(SECRET, "b"), heartbeat(SECRET), agent(SECRET)]
    assert [len(key) for key in keys] == [48, 48, 40, 64]
    for key in keys:
        assert re.fullmatch("[0-9a-f]+", key)
    assert len({key[:40] for key in keys}) == 4
    assert SECRET not in "".join(keys)


def test_both_machines_derive_the_same_and_another_pair_does_not() -> None:
    """The literal keeps a machine that was set up by an older version able to talk to a newer."""
    assert agent(SECRET) == "e68b4140f59cd6c2b9ea0ffe36600dc0e7945d6638670d59e324dc0b2f618318"
    assert agent(SECRET) != agent(SECRET[:-1] + "0")


def test_a_physical_volume_has_an_identity_that_lvm_takes() -> None:
    names = [physical_volume(SECRET, me) for me in (0, 1)]
    for name in names:
        assert re.fullmatch("[0-9a-zA-Z]{6}(-[0-9a-zA-Z]{4}){5}-[0-9a-zA-Z]{6}", name)
    assert names[0] != names[1]
    assert names[0] == physical_volume(SECRET, 0)
