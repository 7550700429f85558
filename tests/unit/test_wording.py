# SPDX-License-Identifier: MIT
"""Words that several pages share."""

import pytest

from firstboot.wording import sized


@pytest.mark.parametrize(
    ("model", "told"), [("QEMU HARDDISK", "2.0 GiB QEMU HARDDISK"), ("", "2.0 GiB")]
)
def test_a_disk_without_a_model_has_a_size(model: str, told: str) -> None:
    assert sized(2 << 30, model) == told
