"""The string that an administrator of the inviting site gives to one of the other site.

::

    https://site.example/connections/pair/#v=1&iss=https%3A%2F%2Fsite.example%2Fo&code=…

The code stands in the fragment, which a browser does not send: so it is in no access log and in no
``Referer`` header (RFC 9110, section 10.1.3).
"""

import re
import secrets
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlsplit

from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..core import site_address
from ..core.peer_urls import origin_of, url_problem
from ..exceptions import PairingError
from ..secret import Secret

_VERSION = "1"
#: The longest string that is read, in characters.
MAX_LENGTH = 2000
#: The longest issuer identifier that the tables can store.
_MAX_ISSUER_LENGTH = 500
#: 32 random bytes in base64url.
_CODE = re.compile(r"[A-Za-z0-9_-]{43}")
_NAMES = {"v", "iss", "code"}
#: The routes that a pairing needs. The first one is the page that explains an invitation.
_ROUTES = (
    "reciprocal_oauth:pair",
    "oauth2_provider:reciprocal-register",
    "oauth2_provider:reciprocal-jwks",
)


@dataclass(frozen=True, repr=False)
class Invitation:
    """An invitation.

    :ivar issuer: the issuer identifier of the inviting site.
    :ivar code: the initial access token (RFC 7591, section 3) with which the other site registers.
    """

    issuer: str
    code: Secret

    def __repr__(self) -> str:
        return f"Invitation(issuer={self.issuer!r})"


def new_code() -> Secret:
    """Return a new code: 256 random bits in base64url."""
    return Secret(secrets.token_urlsafe(32))


def own_issuer() -> str:
    """Return the issuer identifier of this site.

    :raises PairingError: the site does not have one that it can promise to another site.
    """
    issuer = site_address.configured_issuer()
    if not issuer:
        raise PairingError(
            _(
                "This site cannot pair, because it has no fixed issuer. Set "
                "OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT'], such as https://site.example/o."
            )
        )
    if url_problem(issuer, allow_loopback=settings.HTTP_ALLOW_LOOPBACK):
        raise PairingError(
            _(
                "This site cannot pair, because its issuer does not begin with https://. Change "
                "OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT']."
            )
        )
    return issuer


def require_own_addresses(issuer: str) -> str:
    """Check that the addresses of this site that a pairing needs exist, and are at the address of
    its issuer. Return the address of the page that explains an invitation.

    :raises PairingError: they are not.
    """
    base = site_address.base_url()
    urls = [site_address.url_of(route, base=base) for route in _ROUTES]
    if not all(urls):
        raise PairingError(
            _(
                "This site cannot pair, because its URLs lack reciprocal_oauth.urls or the list "
                "reciprocal_urlpatterns of reciprocal_oauth.oauth2_urls."
            )
        )
    if any(origin_of(url) != origin_of(issuer) for url in urls):
        raise PairingError(
            _(
                "This site cannot pair, because its pages are not at the address of its issuer. "
                "Compare RECIPROCAL_OAUTH['BASE_URL'] with OAUTH2_PROVIDER['OIDC_ISS_ENDPOINT']."
            )
        )
    return urls[0]


@sensitive_variables()
def text_of(invitation: Invitation) -> Secret:
    """Return the string to give to the other site.

    :raises PairingError: see :func:`require_own_addresses`.
    """
    page = require_own_addresses(invitation.issuer)
    issuer, code = quote(invitation.issuer, safe=""), invitation.code.reveal()
    return Secret(f"{page}#v={_VERSION}&iss={issuer}&code={code}")


@sensitive_variables()
def read(text: str) -> Invitation:
    """Return the invitation in ``text``, which a person has pasted. Blanks, line breaks and angle
    brackets around it and inside it are removed, because mail programs add them.

    :raises PairingError: ``text`` is not an invitation. The error does not contain ``text``.
    """
    text = re.sub(r"[\s<>]", "", text) if len(text) <= 2 * MAX_LENGTH else ""
    # The host name of an issuer is in ASCII (RFC 3986, section 3.2.2). A letter of another alphabet
    # or an invisible character would make an address look like another one.
    if not text.isascii() or len(text) > MAX_LENGTH:
        raise _unreadable()
    page, _hash, fragment = text.partition("#")
    try:
        values = parse_qs(fragment, strict_parsing=True, max_num_fields=len(_NAMES))
    except ValueError:
        raise _unreadable() from None
    if set(values) != _NAMES or any(len(each) != 1 for each in values.values()):
        raise _unreadable()
    (version,), (issuer,), (code,) = (values[name] for name in ("v", "iss", "code"))
    if version != _VERSION:
        raise PairingError(
            _("This invitation is of a newer kind. Update this package to read it."),
            field="invitation",
        )
    if not _CODE.fullmatch(code) or len(issuer) > _MAX_ISSUER_LENGTH or not issuer.isascii():
        raise _unreadable()
    for url in (page, issuer):
        problem = url_problem(url, allow_loopback=settings.HTTP_ALLOW_LOOPBACK)
        if problem or urlsplit(url).query:
            raise _unreadable(problem or "")
    if origin_of(page) != origin_of(issuer):
        # Somebody may have put the code of one site and the issuer of another one together, so that
        # the code is sent to the wrong site.
        raise PairingError(
            _("The two addresses in this invitation are of different sites. Nothing was sent."),
            field="invitation",
        )
    return Invitation(issuer, Secret(code))


def _unreadable(problem: str = "") -> PairingError:
    text = _(
        "This is not an invitation. It begins with https:// and contains “/pair/#v=1”. Copy the "
        "whole address."
    )
    return PairingError(f"{text} {problem}".rstrip(), field="invitation")
