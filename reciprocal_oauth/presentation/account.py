"""Says which account at the peer a link connects."""

from django.utils.text import Truncator

from ..models import Link

#: The longest name that is shown, in characters.
_SHOWN_LENGTH = 80


def account_of(link: Link) -> str:
    """Return the name of the account at the peer, or its identifier if the peer tells no name.
    Return ``""`` if neither is known. A long text is cut."""
    return Truncator(link.account_name or link.subject).chars(_SHOWN_LENGTH)
