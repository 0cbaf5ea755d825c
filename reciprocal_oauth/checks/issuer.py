"""System checks for the issuer of this site, which is DOT's setting ``OIDC_ISS_ENDPOINT``."""

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from django.core.checks import CheckMessage, Tags, Warning, register
from django.db import DatabaseError
from django.urls import Resolver404, ResolverMatch, resolve

from ..client.discovery import metadata_urls
from ..compat import oauth2_settings
from ..conf import settings
from ..core import site_address
from ..core.database import database
from .guards import needs_settings, needs_urls
from .ids import Id

#: The route of the metadata of OpenID Connect.
_DISCOVERY = "oauth2_provider:oidc-connect-discovery-info"
_SET_THE_ISSUER = (
    'Set OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] to the URL at which reciprocal_oauth.oauth2_urls is '
    'included, such as "https://site.example/o".'
)


@register(Tags.database)
def check_fixed_issuer(
    *, databases: Sequence[str] | None = None, **kwargs: Any
) -> list[CheckMessage]:
    """Check that a site with OpenID Connect and peers has a fixed issuer. Without one, DOT takes
    the issuer from the host name of each request, and peers refuse another issuer than the one that
    they know (OpenID Connect Core 1.0, section 3.1.3.7).

    :param databases: the databases that checks may use.
    """
    from ..models import Peer

    alias = database()
    if alias not in (databases or ()) or not oauth2_settings.OIDC_ENABLED:
        return []
    if site_address.configured_issuer():
        return []
    try:
        has_peers = Peer.objects.using(alias).exists()
    except DatabaseError:
        return []  # The tables are not created yet.
    if not has_peers:
        return []
    return [
        Warning(
            "OpenID Connect is on, but the issuer of this site is not set. So it depends on the "
            "host name of each request, and peers refuse ID tokens of another issuer.",
            hint=_SET_THE_ISSUER,
            id=Id.NO_ISSUER,
        )
    ]


@register(Tags.security, deploy=True)
@needs_settings("ACCEPT_PAIRINGS")
def check_issuer_for_pairing(**kwargs: Any) -> list[CheckMessage]:
    """Check that a site that may pair with others has an issuer, because an invitation contains
    it."""
    if not settings.ACCEPT_PAIRINGS or site_address.configured_issuer():
        return []
    return [
        Warning(
            "This site has no fixed issuer, so it cannot pair with other sites.",
            hint=f'{_SET_THE_ISSUER} Or set RECIPROCAL_OAUTH["ACCEPT_PAIRINGS"] = False.',
            id=Id.NO_ISSUER,
        )
    ]


@register(Tags.urls)
@needs_urls
def check_issuer_url(**kwargs: Any) -> list[CheckMessage]:
    """Check that clients find the metadata of this site at its issuer (RFC 8414, section 3), and
    that the issuer has no slash at the end."""
    issuer = site_address.configured_issuer()
    return list(_doubts_about(issuer)) if issuer else []


def _doubts_about(issuer: str) -> Iterator[CheckMessage]:
    setting = f'OAUTH2_PROVIDER["OIDC_ISS_ENDPOINT"] is {issuer[:200]!r}'
    if not site_address.is_base_url(issuer):
        yield Warning(
            f"{setting}, which is not the URL of an issuer. No other site finds this site by it.",
            hint='Set it to a URL such as "https://site.example/o".',
            id=Id.UNFIT_ISSUER,
        )
        return
    if issuer.endswith("/"):
        yield Warning(
            f"{setting}, with a slash at the end. Whoever enters it without the slash at another "
            "site names another issuer.",
            hint="Remove the slash. If peers know this issuer already, they must change it too.",
            id=Id.UNFIT_ISSUER,
        )
    if not site_address.url_of(_DISCOVERY, base=issuer):
        return  # Other checks report what the URLconf lacks.
    mounted_at = site_address.mounted_at()
    if not (lost := _who_finds_no_metadata(issuer, mounted_at)):
        return
    parts = urlsplit(issuer)
    yield Warning(
        f"{setting}, but django-oauth-toolkit is included at {mounted_at or '/'}, so {lost}",
        hint=f'Set it to "{parts.scheme}://{parts.netloc}{mounted_at}", or include '
        "metadata_urlpatterns of reciprocal_oauth.oauth2_urls at the root of the URLconf and set "
        f'it to "{parts.scheme}://{parts.netloc}".',
        id=Id.UNFIT_ISSUER,
    )


def _who_finds_no_metadata(issuer: str, mounted_at: str) -> str:
    """Return who does not find the metadata of ``issuer`` at this site; ``""`` if everybody can.

    If the issuer ends with the path of DOT's URLs, the part before it can be the path of the whole
    site, which is not known without a request. Otherwise, the site can have routes of its own.
    """
    if mounted_at and urlsplit(issuer).path.rstrip("/").endswith(mounted_at):
        return ""
    routes = [_route(urlsplit(url).path) for url in metadata_urls(issuer)]
    if any(route is not None and not route.kwargs for route in routes):
        return ""
    if any(routes):
        # DOT's route for the metadata has the path of the issuer as an argument, whatever it is.
        return "only clients that know RFC 8414 find the metadata of this issuer."
    return (
        "this site publishes no metadata for this issuer, and other sites do not find its "
        "endpoints and keys."
    )


def _route(path: str) -> ResolverMatch | None:
    try:
        return resolve(path)
    except Resolver404:
        return None
