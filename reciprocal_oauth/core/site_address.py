"""Where this site is: the URLs that other sites are given, the same for every visitor.

A peer has one redirect URI of ours on file and compares it letter by letter (RFC 6749, section
3.1.2.3; RFC 9700, section 2.1). So it must not depend on the host name, the scheme or the language
by which a visitor came.
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
    """The site's own URL, without a slash at its end, as ``https://site.example``.

    ``BASE_URL``, else the issuer (``OIDC_ISS_ENDPOINT``) without the path at which DOT's URLs are
    included. Where neither is set, what ``request`` was sent to; without one, ``""``.
    """
    if configured := configured_base_url():
        return configured
    if request is None:
        return ""
    return request.build_absolute_uri(get_script_prefix()).rstrip("/")


def configured_base_url() -> str:
    """What the settings say of :func:`base_url`; ``""`` where they say nothing."""
    if settings.BASE_URL:
        return settings.BASE_URL.rstrip("/")
    issuer = urlsplit(oauth2_settings.OIDC_ISS_ENDPOINT or "")
    if not issuer.hostname:
        return ""
    path, mounted_at = issuer.path.rstrip("/"), _mounted_at()
    path = path.removesuffix(mounted_at) if path.endswith(mounted_at) else _script_name()
    return f"{issuer.scheme}://{issuer.netloc}{path}"


def is_base_url(text: str) -> bool:
    """Whether ``text`` can be a base URL: http or https, a host, perhaps a path, nothing more."""
    try:
        parts = urlsplit(text)
        well_formed = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        return False
    clean = re.fullmatch(r"[A-Za-z0-9\-._~:/\[\]%]+", text)
    return bool(well_formed and clean)


def _mounted_at() -> str:
    """The path below the site at which DOT's URLs are included: ``/o``, say."""
    return _path("oauth2_provider:oidc-connect-discovery-info").removesuffix(_DISCOVERY)


def url_of(route: str, *args: str, base: str) -> str:
    """The URL of ``route`` below ``base``, in the language ``LANGUAGE_CODE`` where URLs have one;
    a path, where ``base`` is empty. ``""`` where the site does not serve the route."""
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
    """Whether the browser that sends ``request`` shows another host of this site than that of
    :func:`base_url`, and its session is not known there.

    What the browser shows stands in ``Origin``. ``Host`` may have been replaced by a proxy.
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
