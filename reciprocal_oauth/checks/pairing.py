"""System checks for pairing: whether other sites can pair with this site, and who can register."""

from collections.abc import Iterator
from typing import Any

from django.core.checks import CheckMessage, Error, Tags, Warning, register

from ..compat import oauth2_settings
from ..conf import settings
from ..core import site_address
from ..exceptions import PairingError
from ..pairing.invitation import own_issuer, require_own_addresses
from ..pairing.inviting import MAX_LIFETIME_SECONDS
from .guards import needs_settings, needs_urls
from .ids import Id


@register(Tags.urls)
@needs_settings("ACCEPT_PAIRINGS", "PAIRING_LIFETIME_SECONDS", "BASE_URL")
@needs_urls
def check_pairing(**kwargs: Any) -> list[CheckMessage]:
    """Check the lifetime of invitations. If the site has an issuer, check also that it is one that
    other sites can call, and that the addresses that a pairing needs exist below it."""
    return [*_check_lifetime(), *_check_addresses()]


def _check_lifetime() -> Iterator[CheckMessage]:
    if settings.PAIRING_LIFETIME_SECONDS > MAX_LIFETIME_SECONDS:
        yield Error(
            'RECIPROCAL_OAUTH["PAIRING_LIFETIME_SECONDS"] must be at most '
            f"{MAX_LIFETIME_SECONDS} (7 days), not {settings.PAIRING_LIFETIME_SECONDS}.",
            hint="An invitation lies in a mailbox for as long as it is valid. Lower the value.",
            id=Id.WRONG_VALUE,
        )


def _check_addresses() -> Iterator[CheckMessage]:
    if not settings.ACCEPT_PAIRINGS or not site_address.configured_issuer():
        return
    try:
        require_own_addresses(own_issuer())
    except PairingError as error:
        yield Warning(
            str(error),
            hint='Or set RECIPROCAL_OAUTH["ACCEPT_PAIRINGS"] = False. Peers can be added by hand.',
            id=Id.CANNOT_PAIR,
        )


@register(Tags.security, deploy=True)
def check_registration(**kwargs: Any) -> list[CheckMessage]:
    """Warn if anybody can register a client at DOT's endpoint for dynamic client registration (RFC
    7591, section 5). Pairing does not need this endpoint."""
    permissions = getattr(oauth2_settings, "DCR_REGISTRATION_PERMISSION_CLASSES", ())
    is_open = any(each.__name__ == "AllowAllDCRPermission" for each in permissions)
    if not getattr(oauth2_settings, "DCR_ENABLED", False) or not is_open:
        return []
    return [
        Warning(
            "Anybody can register a client at this site, without a token: the setting "
            "DCR_REGISTRATION_PERMISSION_CLASSES of django-oauth-toolkit contains "
            "AllowAllDCRPermission.",
            hint="Pairing does not need dynamic client registration. Use a permission class that "
            "asks for a token, or set DCR_ENABLED to False.",
            id=Id.OPEN_REGISTRATION,
        )
    ]
