"""What another site says of itself to people, in the messages of a pairing and in a sheet: its
description, its logo and policies (RFC 7591, section 2), and where its API tells whose access token
it got.

An address at another origin than the issuer is left out: this site fetches the logo, and sends
access tokens to the account endpoint. A wrong value is left out too, and the peer is added all the
same, because people can link accounts without it.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.core.exceptions import ValidationError

from ..core.plain_text import plain
from ..core.site_metadata import ACCOUNT, LENGTHS, RFC_7591, is_member
from ..models import Peer
from .addresses import is_at

#: The fields of a peer, each with its member in a message or a sheet. RFC 7591 does not have three
#: of them.
MEMBERS: Mapping[str, str] = {
    name: name if name in RFC_7591 else f"reciprocal_{name}" for name in LENGTHS
}


@dataclass(frozen=True)
class SiteDisplay:
    """What a site says of itself.

    :ivar values: the values that can be used, by the name of the peer's field.
    :ivar left_out: the fields whose values were given, but are left out.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    left_out: Sequence[str] = ()


def members_of(display: Mapping[str, str]) -> dict[str, str]:
    """Return the members of a message for ``display``: values by the name of the peer's field."""
    return {MEMBERS[name]: value for name, value in display.items() if name in MEMBERS}


def read(sent: Mapping[str, Any], issuer: str) -> SiteDisplay:
    """Return what a site says of itself in a message or a sheet. What is missing or wrong is left
    out. The account endpoint and the account member are left out together.

    :param issuer: the issuer of this site; ``""`` if it named none. Then the result is empty,
        because nothing shows to which site the addresses belong.
    """
    if not issuer:
        return SiteDisplay()
    given = {name: sent.get(member) for name, member in MEMBERS.items()}
    found = {name: usable for name in given if (usable := _usable(name, given[name], issuer))}
    if any(name not in found for name in ACCOUNT):
        found = {name: value for name, value in found.items() if name not in ACCOUNT}
    left_out = [name for name in given if given[name] not in (None, "") and name not in found]
    return SiteDisplay(found, left_out)


def _usable(name: str, value: object, issuer: str) -> str:
    """Return ``value`` as the field ``name`` of a peer can have it; ``""`` if it cannot."""
    if not isinstance(value, str):
        return ""
    if name == "description":
        return plain(value, LENGTHS[name])
    if name == "account_member":
        fits = len(value) <= LENGTHS[name] and value == plain(value) and is_member(value)
    else:
        fits = is_at(value, issuer)
    return value if fits and is_valid(name, value) else ""


def is_valid(name: str, value: str) -> bool:
    """Return whether the field ``name`` of ``Peer`` can have this value."""
    model_field: Any = Peer._meta.get_field(name)
    try:
        model_field.run_validators(value)
    except ValidationError:
        return False
    return True
