"""Text of another site, before a person sees it."""

import pytest

from reciprocal_oauth.core.plain_text import plain


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("Music", "Music"),
        ("  Two\r\n lines\tand a tab ", "Two lines and a tab"),
        ("bank\u202emoc.live", "bankmoc.live"),
        ("\u2066isolated\u2069", "isolated"),
        ("zero\u200bwidth\ufeff", "zerowidth"),
        ("\x1b[2Jcleared\x07", "[2Jcleared"),
        ("line\u2028and\u2029paragraph", "line and paragraph"),
        ("Музыка 音楽 موسيقى", "Музыка 音楽 موسيقى"),
        ("<b>&amp;</b>", "<b>&amp;</b>"),
        ("\ud800", ""),
        ("x" * 300, "x" * 200),
        (None, ""),
        (7, ""),
    ],
)
def test_a_person_sees_visible_characters_only(given: object, shown: str) -> None:
    assert plain(given) == shown


def test_the_length_can_be_chosen() -> None:
    assert plain("Music service", 6) == "Music"
