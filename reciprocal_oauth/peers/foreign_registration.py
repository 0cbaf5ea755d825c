"""Registers this site at a server that knows RFC 7591, but not the pairing of this package.

The registration has only the members of RFC 7591, section 2, and only the grant types that every
server knows: some servers refuse a registration with an unknown grant type, and a refused request
may use up the initial access token. The response fills in the registration of this site at the
peer. The other direction, the registration of the peer at this site, is set up by hand.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from ..client import registration
from ..client.discovery import Metadata
from ..client.registration import Registration
from ..conf import settings
from ..core import plugins, scopes, site_address, site_metadata
from ..core.database import atomic, require_no_transaction, tried_again
from ..core.local_time import in_words
from ..core.peer_urls import origin_of, url_problem
from ..exceptions import BadResponse, PeerError, PeerRefused
from ..keys import site_keys
from ..models import Pairing, Peer
from ..secret import Secret
from .discovery import values_of

_REFRESH = "refresh_token"
#: The grant types of a server whose metadata lists none (RFC 8414, section 2). Such a server may
#: have refresh tokens all the same.
_DEFAULT_GRANT_TYPES = {"authorization_code", "implicit"}
#: The ways to authenticate there, the preferred one first.
_METHODS = (Peer.AuthMethod.PRIVATE_KEY_JWT, Peer.AuthMethod.BASIC, Peer.AuthMethod.POST)


class CannotRegister(Exception):
    """This site cannot register itself at the other site. Nothing was sent. ``str(error)`` is a
    translated text for the administrator."""


@dataclass(frozen=True)
class Plan:
    """A registration of this site that was not sent yet.

    :ivar endpoint: the client registration endpoint of the other site (RFC 7591, section 3).
    :ivar members: what this site sends (RFC 7591, section 2).
    """

    metadata: Metadata = field(repr=False)
    slug: str
    endpoint: str
    members: Mapping[str, Any]

    @property
    def auth_method(self) -> str:
        """Return how this site wants to authenticate at the other site."""
        return str(self.members["token_endpoint_auth_method"])

    def placeholders(self) -> dict[str, Any]:
        """Return values for the fields of the peer that the registration will set. With them, the
        caller can validate a peer before this site sends anything."""
        has_secret = self.auth_method != Peer.AuthMethod.PRIVATE_KEY_JWT
        return {
            "client_id": "placeholder",
            "client_secret": Secret("placeholder" if has_secret else ""),
            "token_endpoint_auth_method": self.auth_method,
        }


def plan(
    metadata: Metadata,
    slug: str,
    *,
    base: str,
    our_name: str = "",
    scope: str = "",
    auth_method: str = "",
    endpoint: str = "",
    dialect: str = "",
) -> Plan:
    """Return the registration that this site would send.

    :param slug: the short name that the peer has or will have here. It is part of the redirect URI.
    :param base: the URL of this site, from :func:`site_address.base_url`.
    :param our_name: how this site calls itself there; ``""`` for its host name.
    :param scope: what this site will ask for there; ``""`` leaves that to the other site.
    :param auth_method: how to authenticate there; ``""`` for the best method that the metadata of
        the other site lists.
    :param endpoint: the registration endpoint that an administrator has confirmed, if the metadata
        names one at another host than the issuer, or none.
    :param dialect: the dialect of the peer; ``""`` for the usual one.
    :raises CannotRegister: a value is missing or cannot be used.
    """
    callback = site_address.url_of("reciprocal_oauth:callback", slug, base=base)
    if not base or not callback:
        raise CannotRegister(_("The address of this site is not known. Set BASE_URL."))
    used = endpoint or _endpoint_of(metadata)
    if problem := url_problem(used, allow_loopback=settings.HTTP_ALLOW_LOOPBACK):
        raise CannotRegister(problem)
    members = {
        "client_name": our_name or urlsplit(base).hostname,
        "client_uri": f"{base}/",
        "redirect_uris": [callback],
        "grant_types": _grant_types(metadata),
        "response_types": ["code"],
        "token_endpoint_auth_method": auth_method or _method_of(metadata, base, dialect),
    }
    if members["token_endpoint_auth_method"] == Peer.AuthMethod.PRIVATE_KEY_JWT:
        members["jwks_uri"] = _jwks_uri(base)
        if not members["jwks_uri"]:
            raise CannotRegister(_("This site does not publish its keys: include oauth2_urls."))
    about = site_metadata.values(base)
    members |= {name: about[name] for name in site_metadata.RFC_7591 if name in about}
    if scope:
        members["scope"] = scopes.join(scopes.split(scope))
    return Plan(metadata, slug, used, members)


def is_elsewhere(metadata: Metadata) -> bool:
    """Return whether the metadata names a registration endpoint at another host than the issuer. An
    administrator must confirm it before this site sends an initial access token there."""
    endpoint = metadata.registration_endpoint
    return bool(endpoint) and origin_of(endpoint) != origin_of(metadata.issuer)


@sensitive_variables()
def send(plan: Plan, token: Secret | None) -> Registration:
    """Register this site at the other site, and return the registration.

    :param token: the initial access token (RFC 7591, section 1.2); ``None`` if there is none.
    :raises BadResponse: the response cannot be used.
    :raises PeerError: the request failed or was refused; see :func:`.client.registration.register`.
    :raises TransactionManagementError: the caller has a transaction open.
    """
    require_no_transaction("A registration cannot be sent")
    if plan.auth_method == Peer.AuthMethod.PRIVATE_KEY_JWT:
        # The other site may fetch the public keys at once.
        site_keys.signing_key(plan.metadata.auth_signing_algs)
    result = registration.register(
        plan.endpoint, json.dumps(plan.members), token or None, is_foreign=True
    )
    if problem := _problem_of(plan, result):
        give_back(result)
        raise BadResponse(problem)
    return result


@sensitive_variables()
def _problem_of(plan: Plan, result: Registration) -> str:
    """Return why this site cannot use the registration, or ``""``."""
    method = _method_in(plan, result)
    if method not in Peer.AuthMethod.values:
        return "The other site registered an authentication method that this site does not have."
    if method != Peer.AuthMethod.PRIVATE_KEY_JWT and result.client_secret is None:
        return "The registration response has no client_secret."
    return ""


@sensitive_variables()
def peer_values(plan: Plan, result: Registration) -> dict[str, Any]:
    """Return the values of the peer's fields that the registration gives."""
    method = _method_in(plan, result)
    values = {
        "client_id": result.client_id,
        "client_secret": result.client_secret,
        "token_endpoint_auth_method": method,
    }
    if method == Peer.AuthMethod.PRIVATE_KEY_JWT:
        algorithm = site_keys.algorithm_for(plan.metadata.auth_signing_algs)
        values |= {"client_secret": Secret(""), "assertion_algorithm": str(algorithm or "")}
    return {name: value for name, value in values.items() if name == "client_secret" or value}


@tried_again
@sensitive_variables()
def store(peer: Peer, plan: Plan, result: Registration, *, user: Any = None) -> Pairing | None:
    """Store the access to the registration of this site, so that this site can change it later
    (RFC 7592). A pairing that the peer had before is replaced.

    :returns: ``None`` if the other site gave no such access. Then there is nothing to store.
    """
    now = timezone.now()
    with atomic():
        for earlier in Pairing.objects.select_for_update().filter(peer=peer):
            earlier.peer, earlier.state, earlier.next_attempt_at = (
                None,
                Pairing.State.REPLACED,
                None,
            )
            for name, value in Pairing.without_secrets().items():
                setattr(earlier, name, value)
            earlier.save()
        if not result.is_managed:
            return None
        pairing = Pairing(
            role=Pairing.Role.REGISTRANT,
            state=Pairing.State.COMPLETE,
            peer=peer,
            slug=peer.slug,
            issuer=plan.metadata.issuer,
            name=peer.name,
            our_name=plan.members["client_name"],
            metadata=values_of(plan.metadata),
            body=Secret(json.dumps(plan.members)),
            our_client_id=result.client_id,
            our_token=result.registration_access_token or Secret(""),
            our_management_uri=result.registration_client_uri,
            auth_method=peer.token_endpoint_auth_method,
            asked_scope=plan.members.get("scope", ""),
            created_by=user,
            confirmed_by=user,
            expires_at=now,
            completed_at=now,
        )
        pairing.save()
    return pairing


@sensitive_variables()
def give_back(result: Registration) -> bool:
    """Delete a registration that this site cannot store (RFC 7592, section 2.3).

    :returns: whether it was deleted.
    """
    if result.registration_access_token is None or not result.registration_client_uri:
        return False
    try:
        registration.delete(result.registration_client_uri, result.registration_access_token)
    except PeerError:
        return False
    return True


def remarks(plan: Plan, result: Registration) -> list[str]:
    """Return what an administrator should know about the registration."""
    found = []
    registered = result.metadata.get("redirect_uris")
    if isinstance(registered, list) and not set(plan.members["redirect_uris"]) <= {
        each for each in registered if isinstance(each, str)
    }:
        found.append(
            _("The other site did not register the redirect URI of this site: %(uri)s.")
            % {"uri": " ".join(plan.members["redirect_uris"])}
        )
    if _method_in(plan, result) != plan.auth_method:
        found.append(
            _("The other site chose another client authentication than this site: %(method)s.")
            % {"method": _method_in(plan, result)}
        )
    granted = scopes.parse(result.metadata.get("scope"))
    lost = set(scopes.split(plan.members.get("scope", ""))) - set(granted or ())
    if granted is not None and lost:
        found.append(
            _("The other site does not let this site ask for: %(scopes)s.")
            % {"scopes": " ".join(sorted(lost))}
        )
    if result.client_secret_expires_at is not None:
        when = in_words(result.client_secret_expires_at)
        found.append(_("The client secret expires on %(date)s.") % {"date": when})
    if not result.is_managed:
        found.append(
            _(
                "The other site gave no access to this registration (RFC 7592), so this site "
                "cannot change it, and cannot get a new secret by itself."
            )
        )
    return found


def explain(error: PeerError) -> str:
    """Return why the other site did not register this site, for an administrator."""
    if not isinstance(error, PeerRefused):
        return str(error)
    if error.status in (401, 403):
        text = _("The other site refused the initial access token, or needs one.")
    else:
        text = _("The other site refused the registration (%(error)s).") % {"error": error}
    if error.description:
        text += " " + _("It says: “%(text)s”") % {"text": error.description}
    return text


def _endpoint_of(metadata: Metadata) -> str:
    endpoint = metadata.registration_endpoint
    if not endpoint:
        raise CannotRegister(
            _("The metadata of %(issuer)s names no registration endpoint (RFC 7591).")
            % {"issuer": metadata.issuer}
        )
    if is_elsewhere(metadata):
        raise CannotRegister(
            _(
                "The metadata of %(issuer)s names a registration endpoint at another host, "
                "%(endpoint)s. Nothing was sent. Confirm this address if it is the right one."
            )
            % {"issuer": metadata.issuer, "endpoint": endpoint}
        )
    return endpoint


def _grant_types(metadata: Metadata) -> list[str]:
    listed = set(metadata.grant_types)
    has_refresh = _REFRESH in listed or listed == _DEFAULT_GRANT_TYPES
    return ["authorization_code", *[_REFRESH] * has_refresh]


def _method_of(metadata: Metadata, base: str, dialect: str) -> str:
    can_sign = _can_sign(metadata, base, dialect)
    for method in _METHODS:
        if method not in metadata.auth_methods:
            continue
        if method != Peer.AuthMethod.PRIVATE_KEY_JWT or can_sign:
            return str(method)
    raise CannotRegister(
        _(
            "The metadata of %(issuer)s lists no authentication method that this site knows, only: "
            "%(methods)s."
        )
        % {"issuer": metadata.issuer, "methods": ", ".join(metadata.auth_methods) or "–"}
    )


def _can_sign(metadata: Metadata, base: str, dialect: str) -> bool:
    """Return whether this site publishes its public keys, has an algorithm that the other site
    knows, and signs for peers with this dialect."""
    try:
        takes_assertions = not dialect or plugins.dialect_class(dialect).takes_assertions
    except ImproperlyConfigured:
        return False
    algorithm = site_keys.algorithm_for(metadata.auth_signing_algs)
    return takes_assertions and algorithm is not None and bool(_jwks_uri(base))


def _jwks_uri(base: str) -> str:
    return site_address.url_of("oauth2_provider:reciprocal-jwks", base=base)


def _method_in(plan: Plan, result: Registration) -> str:
    """Return how this site authenticates there. The other site may have registered another method
    than this site asked for (RFC 7591, section 3.2.1)."""
    return str(result.metadata.get("token_endpoint_auth_method") or plan.auth_method)
