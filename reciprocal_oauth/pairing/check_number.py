"""A number that is the same at both sites if both sites see the same pairing.

The administrators compare it. It shows a mistake, such as the wrong site or an older offer. It
proves nothing against an attacker who can change the messages: such an attacker could search for
values with the same number. Only the thumbprints of the keys prove that (RFC 7638).
"""

import hashlib
import json
from typing import Any

from ..core import site_address
from ..core.site_address import configured_issuer
from ..models import Pairing, Peer

_DIGITS = 12


def check_number(pairing: Pairing) -> str:
    """Return the check number of a pairing: 12 digits in groups of four. Return ``""`` if the site
    that accepted the invitation is not registered yet, or knows only RFC 7591.

    It covers both issuers, the keys of both sites, and of the site that accepted the invitation:
    its client ID, redirect URIs, scopes and authentication at the inviting site.
    """
    is_inviter = pairing.role == Pairing.Role.INVITER
    values = _as_inviter(pairing) if is_inviter else _as_accepter(pairing)
    if not (values["client_id"] and pairing.issuer):
        return ""
    text = json.dumps(values, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    number = int(hashlib.sha256(text.encode()).hexdigest(), 16) % 10**_DIGITS
    digits = f"{number:0{_DIGITS}}"
    return " ".join(digits[start : start + 4] for start in range(0, _DIGITS, 4))


def _as_inviter(pairing: Pairing) -> dict[str, Any]:
    return {
        "issuers": [configured_issuer(), pairing.issuer],
        "client_id": pairing.issued_client_id,
        "redirect_uris": list(pairing.redirect_uris),
        "scope": pairing.wanted_scope,
        "allowed_scope": pairing.offered_scope,
        "uses_key": pairing.its_auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT,
        "thumbprints": [sorted(pairing.our_thumbprints), sorted(pairing.thumbprints)],
    }


def _as_accepter(pairing: Pairing) -> dict[str, Any]:
    base = site_address.base_url()
    uses_key = pairing.auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT
    ours = sorted(pairing.our_thumbprints) if uses_key else []
    return {
        "issuers": [pairing.issuer, configured_issuer()],
        "client_id": pairing.our_client_id,
        "redirect_uris": [
            site_address.url_of("reciprocal_oauth:callback", pairing.slug, base=base)
        ],
        "scope": pairing.asked_scope,
        "allowed_scope": pairing.allowed_scope,
        "uses_key": uses_key,
        "thumbprints": [sorted(pairing.thumbprints), ours],
    }
