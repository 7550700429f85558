# SPDX-License-Identifier: MIT
"""The fragments of the image: what they have mkosi remove is what was meant."""

from pathlib import Path

import pytest

IMAGE = Path(__file__).parents[2] / "image"
FRAGMENTS = sorted(IMAGE.glob("**/mkosi.conf*/*.conf"))


def removed(fragment: Path) -> list[str]:
    """Its patterns, each as it stands on its line."""
    patterns: list[str] = []
    is_among = False
    for line in fragment.read_text().splitlines():
        if line.startswith("RemoveFiles="):
            is_among = True
            line = line.removeprefix("RemoveFiles=")
        elif not line.startswith(" "):
            is_among = False
        if is_among and line.strip():
            patterns.append(line.strip())
    return patterns


@pytest.mark.parametrize("fragment", FRAGMENTS, ids=lambda path: path.name)
def test_a_pattern_stays_one(fragment: Path) -> None:
    """mkosi takes a comma for the end of one, and what follows is looked for below the root: of
    `QEMU,*` the second half is everything.
    """
    for pattern in removed(fragment):
        assert pattern.startswith(("/usr/", "/var/", "/etc/")), pattern
        assert "," not in pattern and len(Path(pattern).parts) >= 4, pattern


def test_they_are_found() -> None:
    assert len(FRAGMENTS) > 5
    assert "/usr/share/qemu/openbios-*" in removed(IMAGE / "mkosi.conf.d/25-pc.conf")
