"""Binds each visit to the browser in which it was started, with one cookie for each visit.

``state`` prevents forged authorization responses only if it is bound to the browser (RFC 6749,
section 10.12). The session is not suitable: requests that run at the same time overwrite each
other's changes of the session, and its key changes when the user signs in again. Cookies are set
independently of each other.
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
#: Names of cookies that are deleted. Another host of the domain may have set a cookie with the same
#: prefix and an invalid name: Django reads such a cookie, but fails when it deletes it.
_NAME = re.compile(rf"{PREFIX}[0-9A-Za-z]+")
#: How many visits one browser can have at the same time. Each cookie adds 85 bytes to each request
#: for AUTHORIZATION_REQUEST_LIFETIME_SECONDS.
MAX_VISITS = 10


def new_browser_key() -> Secret:
    """Create the value of a cookie: the time, by which the visits are ordered, and 192 random
    bits."""
    return Secret(f"{int(timezone.now().timestamp()):010}.{secrets.token_urlsafe(24)}")


@sensitive_variables()
def set_cookie(
    request: HttpRequest, response: HttpResponseBase, state_hash: str, key: Secret
) -> None:
    """Set the cookie of a visit in ``response``, and delete the cookies of the oldest visits beyond
    :data:`MAX_VISITS`.

    :param state_hash: the hash of the ``state`` of the visit.
    :param key: from :func:`new_browser_key`.
    """
    older = {name: key for name, key in request.COOKIES.items() if _NAME.fullmatch(name)}
    for name in sorted(older, key=older.__getitem__)[: -(MAX_VISITS - 1)]:
        response.delete_cookie(name, **_cookie_scope())
    response.set_cookie(
        _cookie_name(state_hash),
        key.reveal(),
        max_age=settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS,
        secure=django_settings.SESSION_COOKIE_SECURE,
        httponly=True,
        **_cookie_scope(),
    )


def is_same_browser(request: HttpRequest, visit: AuthorizationRequest) -> bool:
    """Whether ``request`` comes from the browser in which ``visit`` was started."""
    key = request.COOKIES.get(_cookie_name(visit.state_hash), "")
    return constant_time_compare(hash_of(key), visit.browser_hash)


def _cookie_name(state_hash: str) -> str:
    return f"{PREFIX}{state_hash[:16]}"


def _cookie_scope() -> dict[str, Any]:
    """Return path, domain and ``SameSite`` of the cookies. Path and domain are those of the session
    cookie, which the callback needs too. ``SameSite=Strict`` is not used: the browser would not
    send the cookie when the peer redirects it here."""
    across_sites = django_settings.SESSION_COOKIE_SAMESITE == "None"
    return {
        "path": django_settings.SESSION_COOKIE_PATH,
        "domain": django_settings.SESSION_COOKIE_DOMAIN,
        "samesite": "None" if across_sites else "Lax",
    }
