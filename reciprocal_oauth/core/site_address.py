"""Builds the URLs that this site tells other sites, such as its redirect URI.

A peer stores one redirect URI of this site, and accepts only exactly this URI (RFC 6749, section
3.1.2.3; RFC 9700, section 2.1). So the URI must be the same for all requests: it must not depend on
the host name, scheme or language of the current request.
"""

import re
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, get_script_prefix, reverse
from django.utils import translation
from django.utils.http import is_same_domain

from ..compat import oauth2_settings
from ..conf import settings

_DISCOVERY = "/.well-known/openid-configuration"


def base_url(request: HttpRequest | None = None) -> str:
    """Return the URL of this site without a slash at the end, such as ``https://site.example``.

    The first of these that exists is used:

    1. the setting ``BASE_URL``,
    2. the issuer (``OIDC_ISS_ENDPOINT``) without the path at which DOT's URLs are included,
    3. the scheme and host of ``request``,
    4. ``""``.
    """
    if configured := configured_base_url():
        return configured
    if request is None:
        return ""
    return request.build_absolute_uri(get_script_prefix()).rstrip("/")


def configured_base_url() -> str:
    """Return the URL of this site from ``BASE_URL`` or the issuer, without a slash at the end.
    Return ``""`` if neither is set."""
    if settings.BASE_URL:
        return settings.BASE_URL.rstrip("/")
    if not is_base_url(configured_issuer()):
        return ""
    issuer = urlsplit(configured_issuer())
    path, mounted = issuer.path.rstrip("/"), mounted_at()
    path = path.removesuffix(mounted) if path.endswith(mounted) else _script_name()
    return f"{issuer.scheme}://{issuer.netloc}{path}"


def configured_issuer() -> str:
    """Return the issuer identifier of this site from DOT's setting ``OIDC_ISS_ENDPOINT`` (RFC 8414,
    section 2); ``""`` if it is not set.

    If it is not set, DOT takes the issuer from the host name of each request. Such an issuer cannot
    be promised to another site.
    """
    return str(oauth2_settings.OIDC_ISS_ENDPOINT or "")


def is_base_url(text: str) -> bool:
    """Return whether ``text`` is a valid value of ``BASE_URL``: it has the scheme http or https and
    a host, and may have a port and a path."""
    try:
        parts = urlsplit(text)
        well_formed = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    clean = re.fullmatch(r"[A-Za-z0-9\-._~:/\[\]%]+", text)
    return bool(well_formed and clean)


def mounted_at() -> str:
    """Return the path at which DOT's URLs are included, such as ``/o``."""
    return _path("oauth2_provider:oidc-connect-discovery-info").removesuffix(_DISCOVERY)


def url_of(route: str, *args: str, base: str) -> str:
    """Return the URL of a route of this site, or ``""`` if the URLconf does not contain the route.

    If the URLs of the site contain a language code (``i18n_patterns``), the code in the result is
    always ``LANGUAGE_CODE``, so that the result does not depend on the language of the user.

    :param route: the name of the route.
    :param base: the URL of this site. If it is empty, only the path is returned.
    """
    path = _path(route, *args)
    return f"{base or _script_name()}{path}" if path else ""


def _path(route: str, *args: str) -> str:
    with translation.override(django_settings.LANGUAGE_CODE):
        try:
            path = reverse(route, args=args)
        except NoReverseMatch:
            return ""
    return "/" + path.removeprefix(get_script_prefix())


def _script_name() -> str:
    return get_script_prefix().rstrip("/")


def cannot_come_back(request: HttpRequest) -> bool:
    """Return whether the user would have no session at this site after coming back from a peer.

    A peer sends the user back to the host of :func:`base_url`. The session is lost if two things
    are true: the browser now shows another host name of this site, and the session cookie is not
    shared by both hosts. The header ``Origin`` contains the host that the browser shows (RFC 6454,
    section 7). The header ``Host`` is not used, because a proxy may have replaced it.
    """
    shown, ours = host_of(request.headers.get("Origin", "")), host_of(configured_base_url())
    if not shown or not ours or shown == ours:
        return False
    shared = django_settings.SESSION_COOKIE_DOMAIN
    if not shared:
        return True
    pattern = f".{shared.lstrip('.')}"
    return not (is_same_domain(shown, pattern) and is_same_domain(ours, pattern))


def host_of(url: str) -> str:
    """Return the host name in ``url``, or ``""`` if ``url`` has none."""
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
