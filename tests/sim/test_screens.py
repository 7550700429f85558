# SPDX-License-Identifier: MIT
"""The pictures in the documents are of this program."""

import pytest

from tests import screens


def test_the_document_shows_what_consoles_show() -> None:
    assert screens.FILE.read_text() == screens.document(), "make screenshots, and look at it"


@pytest.mark.parametrize("day", screens.DAYS, ids=lambda day: day.title)
def test_every_day_fits_its_screen(day: screens.Day) -> None:
    shown = screens.screen(day)
    width, height = screens.SIZE
    assert len(shown) <= height and all(len(line) <= width for line in shown)
    is_quiet = day.happens is screens.nothing and not day.verified.is_open
    assert shown[0].startswith("PROTECTED") is is_quiet
