# SPDX-License-Identifier: MIT
"""One password fits what was kept of it, and nothing else does."""

import pytest

from haagent.password import fits, is_kept, kept

SALT = bytes(range(16))


def test_only_the_password_itself_fits() -> None:
    text = kept("correct horse", SALT)
    assert is_kept(text)
    assert "correct" not in text
    assert fits("correct horse", text)
    assert fits("correct horse", text + "\n")
    assert not fits("correct hors", text)
    assert not fits("", text)


def test_two_machines_with_one_password_keep_different_texts() -> None:
    assert kept("correct horse", SALT) != kept("correct horse", bytes(16))


@pytest.mark.parametrize("text", ["", "scrypt:", "scrypt:x:y", "correct horse", "md5:a:b"])
def test_nothing_fits_what_is_no_kept_password(text: str) -> None:
    assert not is_kept(text)
    assert not fits("correct horse", text)
    assert not fits("", text)


def test_a_salt_is_not_short() -> None:
    with pytest.raises(ValueError, match="16 random bytes"):
        kept("correct horse", b"short")
