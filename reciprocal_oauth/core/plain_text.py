"""Text that another site has written, made safe to show to a person.

A template escapes markup. This module removes what a template does not: characters that are not
visible, and that can make text look like other text.
"""

import unicodedata

#: The Unicode categories that are removed: control characters, format characters (among them all
#: that change the direction of text), surrogates, private use, and unassigned characters.
_REMOVED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})
#: The Unicode categories of line separators and paragraph separators.
_SEPARATORS = frozenset({"Zl", "Zp"})


def plain(text: object, limit: int = 200) -> str:
    """Return ``text`` on one line, without characters that are not visible.

    Joiners are removed too. Some scripts lose a ligature without them, but the text stays readable.

    :param text: the text. A value that is no text gives ``""``.
    :param limit: the largest number of characters to return.
    """
    if not isinstance(text, str):
        return ""
    # A long text is cut before each of its characters is looked up.
    characters = (_visible(character) for character in text[: limit * 10])
    return " ".join("".join(characters).split())[:limit].rstrip()


def _visible(character: str) -> str:
    if character.isspace() or unicodedata.category(character) in _SEPARATORS:
        return " "
    return "" if unicodedata.category(character) in _REMOVED else character
