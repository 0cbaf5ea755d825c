"""The bodies of the messages with which two sites register at each other.

They are those of RFC 7591 (sections 2 and 3.2.1) with a few more members, whose names begin with
``reciprocal_``:

``reciprocal_issuer``
    The issuer identifier of the site that registers (RFC 8414, section 2).
``reciprocal_allowed_scope``
    The largest scope that the answering site may have at the site that registers.
``reciprocal_registration_token``
    The initial access token with which the answering site registers in the other direction. Only
    the first of the two registrations contains it.
``reciprocal_key_thumbprints``
    The thumbprints of the public keys (RFC 7638) of the site that sends them.
``reciprocal_new_secret``
    In an update (RFC 7592, section 2.2): ``true`` to get a new client secret.
``reciprocal_client_name``
    In the response: the name of the answering site.
``reciprocal_state``, ``reciprocal_enabled``
    In the response: how far the pairing is, and whether the answering site lets people connect.
``reciprocal_description``, ``reciprocal_account_endpoint``, ``reciprocal_account_member``
    What a site says of itself to people, with ``logo_uri``, ``policy_uri`` and ``tos_uri`` of RFC
    7591, section 2; see :mod:`reciprocal_oauth.peers.site_display`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.views.decorators.debug import sensitive_variables

from ..core import scopes
from ..core.peer_urls import origin_of
from ..core.plain_text import plain
from ..core.protocol import GRANT_TYPE
from ..exceptions import RegistrationRefused
from ..models import Peer
from ..peers import site_display
from ..peers.addresses import is_at, url_trouble
from ..secret import Secret
from . import display

#: The longest request body that is read, in bytes.
MAX_BODY_BYTES = 16 * 1024
MAX_REDIRECT_URIS = 5
_MAX_SCOPE_LENGTH = 1000
_MAX_NAME_LENGTH = 200
#: The methods of client authentication that a client can register for (RFC 7591, section 2).
AUTH_METHODS = ("client_secret_basic", "client_secret_post", "private_key_jwt")
#: The grant types that a paired site uses at the other one.
GRANT_TYPES = ("authorization_code", "refresh_token", GRANT_TYPE)
#: What an update must not contain: the first four by RFC 7592, section 2.2. Keys by value are not
#: supported, and the token is only for the first registration.
_NOT_IN_UPDATES = (
    "registration_access_token",
    "registration_client_uri",
    "client_secret_expires_at",
    "client_id_issued_at",
    "jwks",
    "reciprocal_registration_token",
)
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{32,200}")
_THUMBPRINT = re.compile(r"[A-Za-z0-9_-]{43}")
_MAX_THUMBPRINTS = 10

INVALID_METADATA = "invalid_client_metadata"
INVALID_REDIRECT_URI = "invalid_redirect_uri"
INVALID_TOKEN = "invalid_token"  # noqa: S105


@dataclass(frozen=True, repr=False)
class Registration:
    """A registration that another site has sent (RFC 7591, section 2).

    :ivar issuer: ``""`` if the other site does not know this protocol, but only RFC 7591.
    :ivar allowed_scope: what this site may have at the other site.
    :ivar token: the token for the registration in the other direction; ``None`` if there is none.
    :ivar display: what the site says of itself to people; see :func:`.display.read`.
    """

    name: str
    homepage: str
    redirect_uris: Sequence[str]
    auth_method: str
    jwks_uri: str
    scope: str
    issuer: str
    allowed_scope: str
    token: Secret | None
    thumbprints: Sequence[str]
    display: Mapping[str, str]


@dataclass(frozen=True, repr=False)
class Update:
    """An update of a registration that another site has sent (RFC 7592, section 2.2).

    :ivar client_secret: the client secret as the other site knows it; ``None`` if it was not sent.
    :ivar new_secret: whether the other site wants a new client secret.
    """

    client_id: str
    client_secret: Secret | None
    registration: Registration
    grant_types: Sequence[str]
    response_types: Sequence[str]
    new_secret: bool


def members(
    *,
    name: str,
    homepage: str,
    redirect_uri: str,
    auth_method: str,
    jwks_uri: str,
    scope: str,
    issuer: str,
    allowed_scope: str,
    thumbprints: Sequence[str],
    about: Mapping[str, str],
) -> dict[str, Any]:
    """Return the members of our own registration at the other site (RFC 7591, section 2).

    :param about: what this site says of itself to people, from :func:`.site_metadata.values`.
    """
    registration: dict[str, Any] = {
        "client_name": name,
        "client_uri": homepage,
        "redirect_uris": [redirect_uri],
        "grant_types": list(GRANT_TYPES),
        "response_types": ["code"],
        "token_endpoint_auth_method": auth_method,
        "scope": scope,
        "reciprocal_issuer": issuer,
        "reciprocal_allowed_scope": allowed_scope,
        **site_display.members_of(about),
    }
    if auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT:
        registration |= {
            "jwks_uri": jwks_uri,
            "reciprocal_key_thumbprints": list(thumbprints),
        }
    return registration


@sensitive_variables()
def read(body: bytes) -> Registration:
    """Return the registration in a request body. Unknown members are ignored (RFC 7591, section 2).

    :raises RegistrationRefused: ``invalid_client_metadata`` or ``invalid_redirect_uri`` (RFC 7591,
        section 3.2.2). The description names the member that is wrong.
    """
    return _registration(_object(body))


@sensitive_variables()
def read_update(body: bytes) -> Update:
    """Return the update in a request body. Members that are missing have the value with which they
    would be registered (RFC 7592, section 2.2).

    :raises RegistrationRefused: see :func:`read`. Also if the update contains a member that only
        the answering site decides (RFC 7592, section 2.2).
    """
    sent = _object(body)
    for name in _NOT_IN_UPDATES:
        if sent.get(name) is not None:
            raise invalid(f"{name} must not be part of an update.")
    new_secret = sent.get("reciprocal_new_secret") or False
    if not isinstance(new_secret, bool):
        raise invalid("reciprocal_new_secret must be true or false.")
    secret = _text(sent, "client_secret")
    if not secret.isascii():
        raise invalid("client_secret must be ASCII (RFC 6749, appendix A.2).")
    return Update(
        client_id=_text(sent, "client_id"),
        client_secret=Secret(secret) if secret else None,
        registration=_registration(sent),
        grant_types=_strings_or(sent, "grant_types", ["authorization_code"]),
        response_types=_strings_or(sent, "response_types", ["code"]),
        new_secret=new_secret,
    )


@sensitive_variables()
def _registration(sent: Mapping[str, Any]) -> Registration:
    issuer = _issuer(sent)
    auth_method = _text(sent, "token_endpoint_auth_method") or "client_secret_basic"
    if auth_method not in AUTH_METHODS:
        raise invalid(f"token_endpoint_auth_method must be one of: {', '.join(AUTH_METHODS)}.")
    for name, needed in (("grant_types", "authorization_code"), ("response_types", "code")):
        if sent.get(name) is not None and needed not in _strings(sent, name):
            raise invalid(f"{name} must contain {needed}.")
    redirect_uris = _redirect_uris(sent, issuer)
    return Registration(
        name=plain(_text(sent, "client_name"), _MAX_NAME_LENGTH),
        homepage=_homepage(sent, issuer),
        redirect_uris=redirect_uris,
        auth_method=auth_method,
        jwks_uri=_jwks_uri(sent, issuer or redirect_uris[0])
        if auth_method == "private_key_jwt"
        else "",
        scope=_scope(sent, "scope"),
        issuer=issuer,
        allowed_scope=_scope(sent, "reciprocal_allowed_scope"),
        token=_registration_token(sent) if issuer else None,
        thumbprints=thumbprints_in(sent),
        display=display.read(sent, issuer),
    )


def thumbprints_in(sent: Mapping[str, Any]) -> list[str]:
    """Return the thumbprints in a message; those of another form are left out."""
    found = sent.get("reciprocal_key_thumbprints")
    values = found if isinstance(found, list) else []
    texts = [each for each in values if isinstance(each, str) and _THUMBPRINT.fullmatch(each)]
    return texts[:_MAX_THUMBPRINTS]


def invalid(description: str, error: str = INVALID_METADATA) -> RegistrationRefused:
    """Return the exception for a registration with a wrong value. The text is also for the other
    site, because it concerns only what the other site has sent."""
    return RegistrationRefused(error, description, description=description)


def unauthorized(why: str) -> RegistrationRefused:
    """Return the exception for a token that is missing or not good. The response is the same in all
    these cases, so that nobody learns which codes exist or existed (RFC 6750, section 3.1)."""
    return RegistrationRefused(INVALID_TOKEN, why, status=401)


def _object(body: bytes) -> Mapping[str, Any]:
    if len(body) > MAX_BODY_BYTES:
        raise invalid(f"The body must not have more than {MAX_BODY_BYTES} bytes.")
    try:
        sent = json.loads(body.decode())
    except (ValueError, RecursionError):
        raise invalid("The body must be a JSON object in UTF-8.") from None
    if not isinstance(sent, dict):
        raise invalid("The body must be a JSON object.")
    return sent


def _text(sent: Mapping[str, Any], name: str) -> str:
    value = sent.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or "\x00" in value:
        raise invalid(f"{name} must be a string.")
    return value


def _strings(sent: Mapping[str, Any], name: str) -> list[str]:
    value = sent.get(name)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise invalid(f"{name} must be a list of strings.")
    return value


def _strings_or(sent: Mapping[str, Any], name: str, default: list[str]) -> list[str]:
    return default if sent.get(name) is None else _strings(sent, name)


def _scope(sent: Mapping[str, Any], name: str) -> str:
    tokens = scopes.parse(_text(sent, name))
    if tokens is None or len(scopes.join(tokens)) > _MAX_SCOPE_LENGTH:
        raise invalid(f"{name} must be scopes separated by spaces (RFC 6749, section 3.3).")
    return scopes.join(tokens)


def _url(sent: Mapping[str, Any], name: str) -> str:
    url = _text(sent, name)
    if url and (problem := url_trouble(url)):
        raise invalid(f"{name} cannot be used: {problem}")
    return url


def _issuer(sent: Mapping[str, Any]) -> str:
    issuer = _url(sent, "reciprocal_issuer")
    if "?" in issuer:
        raise invalid("reciprocal_issuer must have no query (RFC 8414, section 2).")
    return issuer


def _homepage(sent: Mapping[str, Any], issuer: str) -> str:
    """Return the homepage if it is at the address of the issuer, or ``""``."""
    homepage = _text(sent, "client_uri")
    return homepage if issuer and is_at(homepage, issuer) else ""


def _redirect_uris(sent: Mapping[str, Any], issuer: str) -> list[str]:
    uris = _strings(sent, "redirect_uris") if sent.get("redirect_uris") is not None else []
    if not 0 < len(uris) <= MAX_REDIRECT_URIS:
        text = f"redirect_uris must contain 1 to {MAX_REDIRECT_URIS} URIs."
        raise invalid(text, INVALID_REDIRECT_URI)
    for uri in uris:
        # DOT stores the URIs in one text, separated by blanks.
        if problem := url_trouble(uri):
            raise invalid(f"redirect_uris: {uri[:200]!a}: {problem}", INVALID_REDIRECT_URI)
        if issuer and origin_of(uri) != origin_of(issuer):
            raise invalid(
                f"redirect_uris: {uri[:200]!a} is not at the address of reciprocal_issuer.",
                INVALID_REDIRECT_URI,
            )
    return list(dict.fromkeys(uris))


def _jwks_uri(sent: Mapping[str, Any], home: str) -> str:
    """Return the address of the keys.

    :param home: the issuer. For a site that knows only RFC 7591, a redirect URI. When its issuer is
        known, the peer is saved only if the keys are at this issuer.
    """
    uri = _url(sent, "jwks_uri")
    if not uri:
        raise invalid("jwks_uri is missing. Keys by value (jwks) are not supported.")
    if origin_of(uri) != origin_of(home):
        raise invalid("jwks_uri must be at the address of reciprocal_issuer, or of redirect_uris.")
    return uri


def _registration_token(sent: Mapping[str, Any]) -> Secret | None:
    token = _text(sent, "reciprocal_registration_token")
    if not token:
        return None
    if not _TOKEN.fullmatch(token):
        raise invalid("reciprocal_registration_token must have 32 to 200 characters.")
    return Secret(token)


__all__ = [
    "AUTH_METHODS",
    "GRANT_TYPES",
    "MAX_BODY_BYTES",
    "Registration",
    "Update",
    "invalid",
    "members",
    "read",
    "read_update",
    "thumbprints_in",
    "unauthorized",
]
