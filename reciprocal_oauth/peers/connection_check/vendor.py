"""Checks of the configuration of a peer whose dialect is not ``ietf``, without requests to the
peer: what the vendor needs at this site, and what its preset says."""

import ipaddress
from urllib.parse import urlsplit

from django.utils.translation import gettext

from ...client import addresses, proxy
from ...compat import oauth2_settings
from ...conf import settings
from ...dialects.base import Dialect
from ...exceptions import AddressRefused, PeerError
from ...models import Peer
from ...vendors import Preset, preset_of
from .. import preset_values
from ..findings import Check, Result, State
from ..sheet import sheet_for

_HTTPS_PORT = 443


def results(peer: Peer, dialect: Dialect, base: str) -> dict[Check, Result]:
    """Return the results of the checks that are made for ``peer``, in the order of :class:`Check`.

    :param base: the URL of this site.
    """
    found: dict[Check, Result] = {}
    preset = preset_of(peer.dialect)
    if preset is not None and preset.redirect_uris:
        found[Check.REDIRECT_URIS] = _redirect_uris(peer, preset)
    if dialect.has_own_address():
        handover = sheet_for(peer, base).handover
        found[Check.HANDOVER] = _handover(handover or "", dialect)
    if dialect.grace_seconds:
        found[Check.GRACE] = _grace(dialect.grace_seconds)
    if preset is not None:
        found[Check.PRESET] = _preset(peer, preset)
    return found


def _redirect_uris(peer: Peer, preset: Preset) -> Result:
    missing = preset_values.missing_redirect_uris(preset, peer)
    if not missing:
        return State.PASSED, gettext("It has all of them.")
    return State.FAILED, gettext("Add to the application of the peer: %s") % " ".join(missing)


def _handover(url: str, dialect: Dialect) -> Result:
    """Return the result of the check that the vendor can reach ``url``, the address of the peer at
    this site. A vendor needs HTTPS and a host name that its servers can resolve."""
    if dialect.sends_codes and not settings.ACCEPT_HANDOVERS:
        return State.FAILED, gettext("This site accepts no codes: ACCEPT_HANDOVERS is off.")
    if not url:
        return State.FAILED, gettext("The URLs of this site do not include reciprocal_oauth.urls.")
    parts = urlsplit(url)
    if not parts.hostname:
        return State.UNKNOWN, gettext("The URL of this site is not known. Set BASE_URL.")
    if settings.HTTP_ALLOW_LOOPBACK and _is_loopback(parts.hostname):
        return State.UNKNOWN, gettext("%s is on this machine. A vendor cannot reach it.") % url
    if parts.scheme != "https":
        return State.FAILED, gettext("%s is not encrypted. A vendor needs https.") % url
    if _is_ip_address(parts.hostname):
        return State.FAILED, gettext("%s has no host name. A vendor needs one.") % url
    port = parts.port or _HTTPS_PORT
    if way := proxy.proxy_for(parts.hostname):
        # This machine may not be able to look up public names.
        return State.UNKNOWN, gettext("The proxy %s looks up the name.") % way
    try:
        addresses.resolve(parts.hostname, port)
    except AddressRefused as error:
        text = gettext("Seen from here, the address is not public: %s") % error
        return State.UNKNOWN, text
    except PeerError as error:
        return State.FAILED, str(error)
    if port != _HTTPS_PORT:
        return State.ADVICE, gettext("%s has a port. Some vendors call only port 443.") % url
    return State.PASSED, url


def _is_loopback(host: str) -> bool:
    return host == "localhost" or (_is_ip_address(host) and ipaddress.ip_address(host).is_loopback)


def _is_ip_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _grace(wanted: int) -> Result:
    """Return the result of the check that a refresh token that was replaced still works for a
    while. A vendor that did not get the response sends the old refresh token again (RFC 6749,
    section 6)."""
    setting = "OAUTH2_PROVIDER['REFRESH_TOKEN_GRACE_PERIOD_SECONDS']"
    present = oauth2_settings.REFRESH_TOKEN_GRACE_PERIOD_SECONDS
    if not oauth2_settings.ROTATE_REFRESH_TOKEN:
        return State.PASSED, gettext("Refresh tokens are not replaced.")
    if present >= wanted:
        return State.PASSED, gettext("%(setting)s is %(present)d.") % {
            "setting": setting,
            "present": present,
        }
    return State.ADVICE, gettext(
        "%(setting)s is %(present)d. Set it to %(wanted)d or more: otherwise the connection ends "
        "when a response with new tokens is lost."
    ) % {"setting": setting, "present": present, "wanted": wanted}


def _preset(peer: Peer, preset: Preset) -> Result:
    differing = preset_values.differences(preset, peer)
    if not differing:
        return State.PASSED, gettext("All of them.")
    values = "; ".join(
        f"{peer._meta.get_field(name).verbose_name}: {value or '–'}"  # type: ignore[union-attr]
        for name, value in differing.items()
    )
    return State.ADVICE, gettext("The vendor has other values: %s.") % values
