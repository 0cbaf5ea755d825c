"""What a peer's configuration must satisfy. Each check gives the reasons against a value."""

import re
from collections.abc import Mapping
from typing import Any

from django.contrib.auth.hashers import check_password
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..conf import settings
from ..core import networks, plugins, scopes
from ..core.peer_urls import address_problem, url_problem
from ..core.protocol import OWN_AUTHORIZATION_PARAMETERS

#: The fields that hold a URL at the peer, with an example of each.
ENDPOINTS: Mapping[str, str] = {
    "issuer": "https://peer.example/o",
    "authorization_endpoint": "https://peer.example/o/authorize/",
    "token_endpoint": "https://peer.example/o/token/",
    "revocation_endpoint": "https://peer.example/o/revoke_token/",
    "userinfo_endpoint": "https://peer.example/o/userinfo/",
    "reciprocal_endpoint": "https://peer.example/o/token/",
}
#: RFC 6749, appendix A.1: client-id = *VSCHAR
_CLIENT_ID = re.compile(r"[\x20-\x7e]*")
#: RFC 6749, section 8.2: name-char.
_PARAMETER = re.compile(r"[A-Za-z0-9._-]{1,100}")


def check_endpoint(url: str, example: str) -> list[str]:
    """Reasons why ``url`` is no endpoint that we would call (or send a person to)."""
    if not url:
        return []  # Whether it may be blank is the field's to say.
    problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK, example=example)
    problem = problem or address_problem(url, networks.is_allowed)
    return [problem] if problem else []


def check_client_id(value: str) -> list[str]:
    """Reasons why ``value`` is not a client id."""
    if _CLIENT_ID.fullmatch(value):
        return []
    return [_("A client ID consists of printable ASCII characters (RFC 6749, appendix A.1).")]


def parameters_in(text: str) -> dict[str, str]:
    """The parameters in ``text``, which has one ``NAME=VALUE`` a line."""
    lines = (line.partition("=") for line in text.splitlines() if line.strip())
    return {name.strip(): value.strip() for name, _equals, value in lines}


def check_parameters(text: str) -> list[str]:
    """Reasons why ``text`` is not extra parameters of an authorization request."""
    problems = []
    names = [line.partition("=")[0].strip() for line in text.splitlines() if line.strip()]
    for name in names:
        if not _PARAMETER.fullmatch(name):
            problems.append(_("Write one parameter a line, as NAME=VALUE: access_type=offline."))
        elif name in OWN_AUTHORIZATION_PARAMETERS:
            problems.append(_("This site says “%(name)s” itself.") % {"name": name})
        elif names.count(name) > 1:
            problems.append(_("“%(name)s” stands here twice.") % {"name": name})
    if any("=" not in line for line in text.splitlines() if line.strip()) and not problems:
        problems.append(_("Write one parameter a line, as NAME=VALUE: access_type=offline."))
    return list(dict.fromkeys(problems))


def check_scope(value: str) -> list[str]:
    """Reasons why ``value`` is not a scope (RFC 6749, section 3.3)."""
    if value and scopes.parse(value) is None:
        return [_("Enter scope names separated by single spaces.")]
    return []


def check_scope_here(value: str) -> list[str]:
    """Reasons why ``value`` is not made of scopes of this site."""
    known = scopes.described()
    unknown = [token for token in scopes.split(value) if token not in known]
    if not unknown:
        return []
    return [
        _("Not a scope of this site: %(unknown)s. Its scopes are: %(known)s.")
        % {"unknown": " ".join(unknown), "known": " ".join(sorted(known)) or "–"}
    ]


def check_application(application: Any) -> list[str]:
    """Reasons why a DOT application cannot be the peer's registration here."""
    problems = []
    if application.client_type != application.CLIENT_CONFIDENTIAL:
        problems.append(_("The application must be confidential: the peer has to authenticate."))
    if not application.allows_grant_type(
        application.GRANT_AUTHORIZATION_CODE, application.GRANT_OPENID_HYBRID
    ):
        problems.append(_("The application must use the authorization code grant."))
    if has_blank_secret(application):
        problems.append(_("The application has no client secret; set one."))
    return problems


def has_blank_secret(application: Any) -> bool:
    """Whether the client secret is empty, stored plain or hashed: DOT would accept either."""
    stored = application.client_secret
    return not stored or ("$" in stored and check_password("", stored))


def check_dialect(name: str) -> list[str]:
    """Reasons why ``name`` is no dialect."""
    try:
        plugins.dialect_class(name)
    except ImproperlyConfigured as error:
        return [str(error)]
    return []
