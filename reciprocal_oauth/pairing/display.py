"""What a site says of itself to people, in the messages of a pairing: its description, its logo and
policies (RFC 7591, section 2), and where its API tells whose access token it got.

An address at another origin than the issuer is left out: this site fetches the logo, and sends
access tokens to the account endpoint. A wrong value is left out too, and the sites pair all the
same, because people can link accounts without it.
"""

import logging
from collections.abc import Mapping
from typing import Any

from django.core.exceptions import ValidationError

from ..core.plain_text import plain
from ..core.site_metadata import ACCOUNT, LENGTHS, RFC_7591, is_member
from ..models import Pairing, Peer
from .addresses import is_at

logger = logging.getLogger("reciprocal_oauth.pairing")

#: The fields of a peer, each with its member in a message. RFC 7591 does not have three of them.
_MEMBERS: Mapping[str, str] = {
    name: name if name in RFC_7591 else f"reciprocal_{name}" for name in LENGTHS
}


def members_of(display: Mapping[str, str]) -> dict[str, str]:
    """Return the members of a message for ``display``: values by the name of the peer's field."""
    return {_MEMBERS[name]: value for name, value in display.items() if name in _MEMBERS}


def read(sent: Mapping[str, Any], issuer: str) -> dict[str, str]:
    """Return what a site says of itself in a message, by the name of the peer's field. What is
    missing or wrong is left out.

    :param issuer: the issuer of this site; ``""`` if it named none. Then the result is empty,
        because nothing shows to which site the addresses belong.
    """
    if not issuer:
        return {}
    found = {}
    for name, member in _MEMBERS.items():
        value = sent.get(member)
        if usable := _usable(name, value, issuer):
            found[name] = usable
        elif value not in (None, ""):
            logger.warning("%s of %s cannot be used, and is left out", member, issuer)
    if any(name not in found for name in ACCOUNT):
        found = {name: value for name, value in found.items() if name not in ACCOUNT}
    return found


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
    return value if fits and _is_valid(name, value) else ""


def _is_valid(name: str, value: str) -> bool:
    field: Any = Peer._meta.get_field(name)
    try:
        field.run_validators(value)
    except ValidationError:
        return False
    return True


def offered(pairing: Pairing | None) -> dict[str, str]:
    """Return what the other site says of itself: in its registration, and before that in its
    metadata (``op_policy_uri`` and ``op_tos_uri``: RFC 8414, section 2)."""
    if pairing is None:
        return {}
    pages = {name: pairing.metadata.get(name, "") for name in RFC_7591}
    return {**{name: url for name, url in pages.items() if url}, **pairing.display}


def put_in(peer: Peer, new: Mapping[str, str], before: Mapping[str, str]) -> None:
    """Set the fields of ``peer`` to what the other site says of itself, without saving it. A field
    that an administrator of this site has changed stays as it is.

    :param new: what it says now, from :func:`offered`.
    :param before: what it said before; empty if the peer had no pairing.
    """
    groups = [*((name,) for name in LENGTHS if name not in ACCOUNT), ACCOUNT]
    for names in groups:
        if all(getattr(peer, name) == before.get(name, "") for name in names):
            for name in names:
                setattr(peer, name, new.get(name, ""))


__all__ = ["members_of", "offered", "put_in", "read"]
