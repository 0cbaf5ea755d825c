"""Validation of the fields of a peer that are about its keys: how the peer authenticates at this
site."""

from typing import TYPE_CHECKING

from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _

from ..conf import settings
from ..core import networks, plugins, site_address
from ..core.peer_urls import address_problem, origin_of, url_problem

if TYPE_CHECKING:
    from .peers import Peer


def check_keys(peer: "Peer") -> dict[str, list[str]]:
    """Return the error messages about the authentication of ``peer`` at this site, by field
    name."""
    found: dict[str, list[str]] = {"jwks_uri": _check_jwks_uri(peer)}
    if not peer.uses_key_here:
        return found
    if not peer.jwks_uri:
        found["jwks_uri"] = [_("Enter the address of the keys with which the peer signs.")]
    if not peer.issuer:
        found["issuer"] = [_("Enter the issuer of the peer: its keys must be on the same host.")]
    found["authenticates_here_by"] = _check_signing(peer)
    return found


def _check_jwks_uri(peer: "Peer") -> list[str]:
    """Return the reasons why ``peer.jwks_uri`` cannot be used. The keys must be on the origin of
    the issuer: whoever controls this origin can speak for the peer, and nobody else."""
    if not peer.jwks_uri:
        return []
    example = "https://peer.example/o/reciprocal/jwks.json"
    problem = url_problem(
        peer.jwks_uri, allow_loopback=settings.HTTP_ALLOW_LOOPBACK, example=example
    )
    problem = problem or address_problem(peer.jwks_uri, networks.is_allowed)
    if problem:
        return [problem]
    if peer.issuer and origin_of(peer.jwks_uri) != origin_of(peer.issuer):
        return [
            _("The keys must be at the address of the issuer, %(origin)s.")
            % {"origin": origin_of(peer.issuer)}
        ]
    return []


def _check_signing(peer: "Peer") -> list[str]:
    """Return the reasons why ``peer`` cannot authenticate with a key."""
    problems = []
    if not site_address.configured_issuer():
        problems.append(
            _(
                "The peer signs for the issuer of this site, so the issuer must not depend on the "
                "request. Set OIDC_ISS_ENDPOINT in OAUTH2_PROVIDER."
            )
        )
    try:
        has_own = plugins.dialect_class(peer.dialect).endpoint.name == "OWN"
    except ImproperlyConfigured:
        return problems
    if has_own:
        problems.append(_("Peers with this dialect cannot sign. They need a client secret."))
    return problems
