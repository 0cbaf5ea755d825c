"""Ties each visit to the browser that began it, with a cookie of its own.

``state`` protects against a forged answer only if it belongs to the browser (RFC 6749, section
10.12). The session is no place for it: requests that run at the same time read, change and write
the session as a whole, and lose what the others wrote; its key changes when the person signs in
again. Cookies are set one by one.
"""

import re
import secrets
from typing import Any

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils import timezone
from django.utils.crypto import constant_time_compare
from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..core.hashing import hash_of
from ..models import AuthorizationRequest
from ..secret import Secret

PREFIX = "reciprocal_visit_"
#: Names that can be taken back. Another host of the same domain may have set others that begin so:
#: Django reads what is no name of a cookie, and fails to write it.
_NAME = re.compile(rf"{PREFIX}[0-9A-Za-z]+")
#: Visits that one browser may have under way; older ones are forgotten. Each costs 85 bytes of
#: the browser's requests for as long as AUTHORIZATION_REQUEST_LIFETIME_SECONDS.
MAX_VISITS = 10


def new_key() -> Secret:
    """What proves that a browser is the one that began a visit: the time, which says which visit
    is older, and 192 random bits."""
    return Secret(f"{int(timezone.now().timestamp()):010}.{secrets.token_urlsafe(24)}")


@sensitive_variables()
def give(request: HttpRequest, response: HttpResponseBase, state_hash: str, key: Secret) -> None:
    """Let ``response`` set the cookie of the visit with this state, and take back those of the
    oldest visits beyond :data:`MAX_VISITS`."""
    older = {name: key for name, key in request.COOKIES.items() if _NAME.fullmatch(name)}
    for name in sorted(older, key=older.__getitem__)[: -(MAX_VISITS - 1)]:
        response.delete_cookie(name, **_reach())
    response.set_cookie(
        _name(state_hash),
        key.reveal(),
        max_age=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS,
        secure=django_settings.SESSION_COOKIE_SECURE,
        httponly=True,
        **_reach(),
    )


def began_here(request: HttpRequest, visit: AuthorizationRequest) -> bool:
    """Whether ``request`` comes from the browser that began ``visit``."""
    key = request.COOKIES.get(_name(visit.state_hash), "")
    return constant_time_compare(hash_of(key), visit.browser_hash)


def _name(state_hash: str) -> str:
    return f"{PREFIX}{state_hash[:16]}"


def _reach() -> dict[str, Any]:
    """Where the cookie goes: wherever the session's cookie goes, without which the callback takes
    no answer. And, other than a strict one, back from the peer's site."""
    across_sites = django_settings.SESSION_COOKIE_SAMESITE == "None"
    return {
        "path": django_settings.SESSION_COOKIE_PATH,
        "domain": django_settings.SESSION_COOKIE_DOMAIN,
        "samesite": "None" if across_sites else "Lax",
    }
