"""The URLs of this site that other sites are given. They are the same for every visitor.

A peer stores one redirect URI of this site, and compares it character by character (RFC 6749,
section 3.1.2.3; RFC 9700, section 2.1). So it must not depend on the host name, scheme or language
of the current request.
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

    It is ``BASE_URL``, or else the issuer (``OIDC_ISS_ENDPOINT``) without the path at which DOT's
    URLs are included. If neither is set, it is the host of ``request``; without one, ``""``.
    """
    if configured := configured_base_url():
        return configured
    if request is None:
        return ""
    return request.build_absolute_uri(get_script_prefix()).rstrip("/")


def configured_base_url() -> str:
    """Return :func:`base_url` from the settings alone; ``""`` if they do not define it."""
    if settings.BASE_URL:
        return settings.BASE_URL.rstrip("/")
    issuer = urlsplit(oauth2_settings.OIDC_ISS_ENDPOINT or "")
    if not issuer.hostname:
        return ""
    path, mounted_at = issuer.path.rstrip("/"), _mounted_at()
    path = path.removesuffix(mounted_at) if path.endswith(mounted_at) else _script_name()
    return f"{issuer.scheme}://{issuer.netloc}{path}"


def is_base_url(text: str) -> bool:
    """Whether ``text`` can be a base URL: http or https, a host, optionally a path."""
    try:
        parts = urlsplit(text)
        well_formed = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    clean = re.fullmatch(r"[A-Za-z0-9\-._~:/\[\]%]+", text)
    return bool(well_formed and clean)


def _mounted_at() -> str:
    """Return the path at which DOT's URLs are included, such as ``/o``."""
    return _path("oauth2_provider:oidc-connect-discovery-info").removesuffix(_DISCOVERY)


def url_of(route: str, *args: str, base: str) -> str:
    """Return the URL of ``route`` below ``base``; only the path if ``base`` is empty; ``""`` if the
    site does not have the route. If URLs contain a language, it is ``LANGUAGE_CODE``."""
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
    """Whether the browser is on another host of this site than the one of :func:`base_url`, and has
    no session there.

    The host that the browser shows is in the header ``Origin`` (RFC 6454, section 7). A proxy may
    have replaced ``Host``.
    """
    shown, ours = _host(request.headers.get("Origin", "")), _host(configured_base_url())
    if not shown or not ours or shown == ours:
        return False
    shared = django_settings.SESSION_COOKIE_DOMAIN
    if not shared:
        return True
    pattern = f".{shared.lstrip('.')}"
    return not (is_same_domain(shown, pattern) and is_same_domain(ours, pattern))


def _host(url: str) -> str:
    try:
        return urlsplit(url).hostname or ""
    except ValueError:
        return ""
