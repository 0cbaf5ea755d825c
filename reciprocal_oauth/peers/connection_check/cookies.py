"""Finds out whether a browser sends the cookies of this site to the peer too (RFC 6265, sections
5.1.3 and 8.5)."""

from django.conf import settings as django_settings
from django.utils.http import is_same_domain
from django.utils.translation import gettext

from ...core import site_address
from ...models import Peer
from ..findings import Result, State


def check(peer: Peer, base: str) -> Result:
    """Return the result of the check that the peer gets no cookies of this site.

    How the cookies of the peer are named cannot be known. So one host for both sites is no failure.

    :param base: the URL of this site.
    """
    ours = site_address.host_of(base)
    if not ours:
        return State.UNKNOWN, gettext("The URL of this site is not known. Set BASE_URL.")
    urls = (peer.authorization_endpoint, peer.issuer, peer.homepage, peer.token_endpoint)
    hosts = {host for url in urls if (host := site_address.host_of(url))}
    if ours in hosts:
        return _on_one_host(ours)
    domain = django_settings.SESSION_COOKIE_DOMAIN
    pattern = f".{domain.lstrip('.')}" if domain else ""
    receiving = sorted(host for host in hosts if pattern and is_same_domain(host, pattern))
    if receiving:
        return State.ADVICE, gettext(
            "Browsers send the session cookie of this site to %(host)s too, because "
            "SESSION_COOKIE_DOMAIN is %(domain)s. Whoever runs the peer can use the session."
        ) % {"host": receiving[0], "domain": domain}
    return State.PASSED, gettext("The sites have different hosts.")


def _on_one_host(host: str) -> Result:
    """Return the result for two sites on one host, such as two sites in development. Browsers do
    not tell ports apart for cookies."""
    session = django_settings.SESSION_COOKIE_NAME
    has_own_csrf = (
        django_settings.CSRF_USE_SESSIONS or django_settings.CSRF_COOKIE_NAME != "csrftoken"
    )
    if session != "sessionid" and has_own_csrf:
        text = gettext("Both sites are on %(host)s, but the cookies here have names of their own.")
        return State.PASSED, text % {"host": host}
    return State.ADVICE, gettext(
        "Both sites are on %(host)s. Browsers do not tell ports apart for cookies. So who signs in "
        "at one site can be signed out at the other. Set SESSION_COOKIE_NAME and "
        "CSRF_COOKIE_NAME to names that the other site does not use."
    ) % {"host": host}
