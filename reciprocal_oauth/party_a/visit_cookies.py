"""Cookies that show in which browser a visit (the trip of the user to the peer and back) was
started. Each visit has its own cookie.

To prevent forged authorization responses, this site must accept the parameter ``state`` only from
the browser in which the visit was started (RFC 6749, section 10.12). The Django session is not
suitable for this, for two reasons: if two requests change the session at the same time, one change
is lost; and the session key changes when the user signs in again.
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
#: The pattern of the names of the cookies that this module deletes. Another host of the same domain
#: may have set a cookie whose name begins with ``PREFIX`` but contains invalid characters. Django
#: can read such a cookie, but raises an error if it has to delete the cookie.
_NAME = re.compile(rf"{PREFIX}[0-9A-Za-z]+")
#: How many visits (each with its own cookie) one browser can have at the same time. There is a
#: limit because the browser sends the cookies with each request, with about 85 bytes for each
#: cookie.
MAX_VISITS = 10


def new_browser_key() -> Secret:
    """Create the value of the cookie for a new visit. The value consists of the current time, which
    tells later which visit is the oldest, and 192 random bits."""
    return Secret(f"{int(timezone.now().timestamp()):010}.{secrets.token_urlsafe(24)}")


@sensitive_variables()
def set_cookie(
    request: HttpRequest, response: HttpResponseBase, state_hash: str, key: Secret
) -> None:
    """Set the cookie of a visit in ``response``. If the browser then has more than
    :data:`MAX_VISITS` such cookies, delete the cookies of the oldest visits.

    :param state_hash: the hash of the parameter ``state`` of the visit.
    :param key: the value of the cookie, from :func:`new_browser_key`.
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
    """Return whether ``request`` comes from the browser in which ``visit`` was started. Compare the
    hash of the cookie with the hash that was stored when the visit was started."""
    key = request.COOKIES.get(_cookie_name(visit.state_hash), "")
    return constant_time_compare(hash_of(key), visit.browser_hash)


def _cookie_name(state_hash: str) -> str:
    return f"{PREFIX}{state_hash[:16]}"


def _cookie_scope() -> dict[str, Any]:
    """Return the attributes path, domain and ``SameSite`` of the cookies.

    Path and domain are the same as for the session cookie, because the browser must send both
    cookies with the authorization response. ``SameSite`` must not be ``Strict``, because the
    browser would not send a strict cookie when the peer redirects the browser to this site.
    """
    across_sites = django_settings.SESSION_COOKIE_SAMESITE == "None"
    return {
        "path": django_settings.SESSION_COOKIE_PATH,
        "domain": django_settings.SESSION_COOKIE_DOMAIN,
        "samesite": "None" if across_sites else "Lax",
    }
