"""Checks the scopes in both directions: those that this site asks for must exist at the peer, and
those that the peer may have must exist at this site. ``openid`` also needs OpenID Connect."""

import difflib
from collections.abc import Collection, Iterator, Sequence

from django.contrib.auth.hashers import identify_hasher
from django.utils.translation import gettext
from oauth2_provider.models import get_application_model

from ...client.discovery import Metadata
from ...compat import oauth2_settings
from ...core import scopes
from ...core.protocol import OPENID
from ...models import Peer
from ..findings import Result, State
from .authorization import ScopeAnswer


def check(peer: Peer, metadata: Metadata | None, answer: ScopeAnswer) -> Result:
    """Return the result of the check for both directions.

    :param metadata: the metadata of the peer; ``None`` if it is not known.
    :param answer: what the authorization endpoint of the peer says about the scopes.
    """
    asked = scopes.split(f"{peer.scope} {peer.reciprocal_scope}")
    listed = () if metadata is None else metadata.scopes
    failed = [
        *_refused(asked, listed, answer),
        *_openid_there(peer, metadata),
        *_problems_here(peer),
    ]
    doubts = list(_doubts(asked, listed, answer))
    if failed:
        return State.FAILED, " ".join([*failed, *doubts])
    if doubts:
        return State.UNKNOWN, " ".join(doubts)
    return State.PASSED, _all_of(peer, asked)


def check_here(peer: Peer) -> Result:
    """Return the result for a peer to which this site sends no requests: the check of the scopes
    that the peer may have here."""
    failed = list(_problems_here(peer))
    return (State.FAILED, " ".join(failed)) if failed else (State.PASSED, _all_of(peer, []))


def _all_of(peer: Peer, asked: Sequence[str]) -> str:
    return gettext("Scopes there: %(there)s. Scopes here: %(here)s.") % {
        "there": scopes.join(asked) or "–",
        "here": peer.allowed_scope or "–",
    }


def _refused(asked: Sequence[str], listed: Sequence[str], answer: ScopeAnswer) -> Iterator[str]:
    """Return the problems with the scopes that this site asks for."""
    if answer.is_refused and not answer.refused:
        text = gettext("The peer refuses the scope “%s” (invalid_scope).")
        yield text % scopes.join(asked)
    for token in answer.refused:
        text = gettext("The peer refuses the scope “%s” (invalid_scope).")
        yield text % token + _near_matches(token, listed)
    for token in _unlisted(asked, listed, answer):
        if near := _near_matches(token, listed):
            yield gettext("The metadata of the peer does not list the scope “%s”.") % token + near


def _doubts(asked: Sequence[str], listed: Sequence[str], answer: ScopeAnswer) -> Iterator[str]:
    """Return what is not known about the scopes that this site asks for. A peer need not list all
    of its scopes (RFC 8414, section 2)."""
    if asked and not listed and not (answer.is_accepted or answer.is_refused):
        yield gettext(
            "The peer does not say which scopes it has. Compare with its documentation: %s."
        ) % scopes.join(asked)
    for token in _unlisted(asked, listed, answer):
        if token != OPENID and not _near_matches(token, listed):
            yield gettext(
                "The metadata of the peer does not list the scope “%(scope)s”, only: %(listed)s. "
                "It may have more scopes than it lists."
            ) % {"scope": token, "listed": " ".join(listed[:20])}


def _unlisted(asked: Sequence[str], listed: Sequence[str], answer: ScopeAnswer) -> list[str]:
    if not listed or answer.is_accepted:
        return []
    return [token for token in asked if token not in {*listed, *answer.refused}]


def _openid_there(peer: Peer, metadata: Metadata | None) -> Iterator[str]:
    """Return the problems with ``openid`` at the peer. This site must know the issuer of the peer,
    because ID tokens name it (OpenID Connect Core 1.0, section 3.1.3.7)."""
    if OPENID not in scopes.split(peer.scope):
        return
    if not peer.issuer:
        yield gettext("This site asks for “openid”, but the issuer of the peer is not known here.")
    if metadata is None or not metadata.scopes:
        return
    # Keys, and in practice a UserInfo endpoint, are in the metadata of each OpenID provider (OpenID
    # Connect Discovery 1.0, section 3). Other servers can have a scope of the same name.
    offers = OPENID in metadata.scopes and (metadata.jwks_uri or metadata.userinfo_endpoint)
    if not offers:
        yield gettext(
            "This site asks for “openid”, but the metadata of the peer does not offer OpenID "
            "Connect. Leave “openid” out, or have it switched on there."
        )


def _problems_here(peer: Peer) -> Iterator[str]:
    """Return the problems with the scopes that the peer may have at this site."""
    known = scopes.described()
    here = scopes.split(f"{peer.allowed_scope} {peer.preconfigured_scope}")
    for token in here:
        if token not in known:
            text = gettext(
                "The peer may have the scope “%s” here, but this site has no such scope."
            )
            yield text % token + _near_matches(token, known)
    available = set(scopes.available(peer.application))
    for token in here:
        if token in known and token not in available:
            yield (
                gettext(
                    "The peer may have the scope “%s” here, but the scopes backend of this site "
                    "does not offer it to the application of the peer."
                )
                % token
            )
    if OPENID in here:
        yield from _openid_here(peer)


def _openid_here(peer: Peer) -> Iterator[str]:
    """Return the problems with ``openid`` at this site. DOT then issues ID tokens, and signs them
    as the application of the peer says (OpenID Connect Core 1.0, section 3.1.3.3). If it cannot,
    its token endpoint responds with an internal error."""
    if not oauth2_settings.OIDC_ENABLED:
        yield gettext(
            "The peer may have the scope “openid” here, but OpenID Connect is off at this site, so "
            "the peer gets no ID token. Take “openid” out, or set OIDC_ENABLED in OAUTH2_PROVIDER."
        )
        return
    model = get_application_model()
    algorithm = getattr(peer.application, "algorithm", "")
    if not algorithm:
        yield gettext(
            "The peer may have the scope “openid” here, but its application has no algorithm for "
            "ID tokens, so each token request with “openid” fails. Set the algorithm of the "
            "application to RS256."
        )
    elif algorithm == model.RS256_ALGORITHM and not oauth2_settings.OIDC_RSA_PRIVATE_KEY:
        yield gettext(
            "The application of the peer signs ID tokens with RS256, but OIDC_RSA_PRIVATE_KEY in "
            "OAUTH2_PROVIDER is not set."
        )
    elif algorithm == model.HS256_ALGORITHM and _is_hash(peer.application.client_secret):
        yield gettext(
            "The application of the peer signs ID tokens with HS256, which needs its client "
            "secret, but only a hash of it is stored. Set the algorithm of the application to "
            "RS256."
        )


def _is_hash(secret: str) -> bool:
    try:
        identify_hasher(secret)
    except ValueError:
        return False
    return True


def _near_matches(token: str, known: Collection[str]) -> str:
    """Return a question that names the scopes that are probably meant; ``""`` if there are none."""
    by_lower_case = {each.lower(): each for each in known}
    near = difflib.get_close_matches(token.lower(), by_lower_case)
    names = ", ".join(f"“{by_lower_case[name]}”" for name in near)
    return " " + gettext("Did you mean %s?") % names if near else ""
