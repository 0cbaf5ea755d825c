"""System checks for ``BASE_URL``, the URL under which users and peers reach this site."""

from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings as django_settings
from django.core.checks import CheckMessage, Error, Tags, Warning, register
from django.http.request import validate_host

from ..conf import settings
from ..core import site_address
from .guards import needs_settings, needs_urls
from .ids import Id

_LOOPBACK = {".localhost", "localhost", "127.0.0.1", "[::1]"}


@register(Tags.urls)
@needs_settings("BASE_URL")
@needs_urls
def check_base_url(**kwargs: Any) -> list[CheckMessage]:
    """Check that ``BASE_URL`` is a URL of this site. If ``BASE_URL`` is empty, check the issuer
    instead, or warn if the site has several host names and no issuer."""
    given = settings.BASE_URL
    if given and not site_address.is_base_url(given):
        return [
            Error(
                f'RECIPROCAL_OAUTH["BASE_URL"] is {given[:60]!r}, which is not the URL of a site.',
                hint='Write it like "https://site.example", without a query.',
                id=Id.BASE_URL,
            )
        ]
    base = site_address.configured_base_url()
    return list(_doubts_about(base) if base else _no_base_url())


def _no_base_url() -> Iterator[CheckMessage]:
    public = set(django_settings.ALLOWED_HOSTS) - _LOOPBACK
    if len(public) > 1 or any(host.startswith(("*", ".")) for host in public):
        yield Warning(
            "This site has several host names, and no setting says which one peers should use: the "
            "redirect URI depends on the host name of each request.",
            hint='Set RECIPROCAL_OAUTH["BASE_URL"] = "https://…", or OIDC_ISS_ENDPOINT in '
            "OAUTH2_PROVIDER. If each host is a site of its own, give each its own settings.",
            id=Id.NO_BASE_URL,
        )


def _doubts_about(base: str) -> Iterator[CheckMessage]:
    parts = urlsplit(base)
    allowed = django_settings.ALLOWED_HOSTS
    if not allowed and django_settings.DEBUG:
        allowed = list(_LOOPBACK)  # Django allows these hosts if DEBUG is on.
    host = parts.netloc.rpartition(":")[0] if parts.port else parts.netloc
    if not validate_host(host.lower(), allowed):
        yield Warning(
            f"Peers send users back to {base}, but ALLOWED_HOSTS does not include that host.",
            hint='Correct RECIPROCAL_OAUTH["BASE_URL"] (or the issuer, if BASE_URL is not set), or '
            "add the host to ALLOWED_HOSTS.",
            id=Id.UNSOUND_BASE_URL,
        )
    if parts.scheme == "http" and django_settings.SESSION_COOKIE_SECURE:
        yield Warning(
            f"Peers send users back to {base}, where they are not signed in, because the session "
            "cookie is sent by https only.",
            hint='Set RECIPROCAL_OAUTH["BASE_URL"] to the URL with https.',
            id=Id.UNSOUND_BASE_URL,
        )
