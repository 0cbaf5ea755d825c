"""Checks with authorization requests without a session whether the peer knows the redirect URI and
the scopes of this site.

A peer must not redirect to a redirect URI that it does not know (RFC 6749, section 4.1.2.1). It
checks this before anything else, but not each peer does so before the person has signed in. A peer
that redirects everybody to its login page shows nothing. So each response is compared with the
response to a value that was made up.
"""

import secrets
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass

from django.utils.translation import gettext

from ...client import authorization_endpoint
from ...client.authorization_endpoint import Answer
from ...core import scopes, site_address
from ...core.plain_text import plain
from ...core.protocol import SERVER_ERROR, TEMPORARILY_UNAVAILABLE, UNAUTHORIZED_CLIENT
from ...exceptions import PeerError, PeerRefused
from ...models import Peer
from ..findings import DRAFT, Check, Result, State
from . import pairing_standing
from .clock import Clock

#: The errors that only say that nobody is signed in (OpenID Connect Core 1.0, section 3.1.2.6).
_NOBODY_THERE = frozenset(
    {"login_required", "interaction_required", "consent_required", "account_selection_required"}
)
_INVALID_SCOPE = "invalid_scope"
#: The errors that do not concern this request alone (RFC 6749, section 4.1.2.1).
_REFUSING = frozenset({UNAUTHORIZED_CLIENT, "unsupported_response_type"})
_PASSING = frozenset({SERVER_ERROR, TEMPORARILY_UNAVAILABLE})
#: The largest number of scopes that are asked for one by one.
_MAX_SINGLE = 10


@dataclass(frozen=True)
class ScopeAnswer:
    """What the authorization endpoint says about the scopes that this site asks for.

    :ivar is_accepted: whether it accepts them, and would refuse a scope that does not exist.
    :ivar is_refused: whether it refuses them.
    :ivar refused: the scopes that it refuses, as far as this is known.
    """

    is_accepted: bool = False
    is_refused: bool = False
    refused: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Questions:
    """Asks the authorization endpoint of one peer.

    :ivar uri: the redirect URI of this site.
    :ivar scope: the whole scope that this site asks for.
    """

    peer: Peer
    uri: str
    scope: str
    clock: Clock

    def ask(self, redirect_uri: str | None, scope: str | None = None) -> Answer:
        """Send one request.

        :raises PeerError: there is no response.
        """
        scope = self.scope if scope is None else scope
        answer = authorization_endpoint.ask(self.peer, redirect_uri, scope)
        self.clock.read(answer.headers, answer.sent_at)
        return answer


def check(
    peer: Peer,
    results: MutableMapping[Check, Result],
    base: str,
    clock: Clock,
    *,
    standing: pairing_standing.Standing,
    listed: Sequence[str],
) -> ScopeAnswer:
    """Make the checks of the redirect URI and of the response, and store their results in
    ``results``. Return what the peer says about the scopes.

    :param base: the URL of this site.
    :param standing: what the pairing says about this site, if there is one.
    :param listed: the scopes that the peer lists in its metadata.
    """
    if not peer.authorization_endpoint:
        reason = gettext("The peer has no authorization endpoint here: people cannot start here.")
        results[Check.REDIRECT_URI] = results[Check.RESPONSE] = State.NOT_NEEDED, reason
        return ScopeAnswer()
    uri = site_address.url_of("reciprocal_oauth:callback", peer.slug, base=base)
    if not uri or not base:
        reason = gettext("The URL of this site is not known. Set BASE_URL.")
        results[Check.REDIRECT_URI] = State.UNKNOWN, reason
        results[Check.RESPONSE] = State.UNKNOWN, reason
        return ScopeAnswer()
    asked = f"{peer.scope} {peer.reciprocal_scope}" if peer.dialect == DRAFT else peer.scope
    questions = _Questions(peer, uri, scopes.join(scopes.split(asked)), clock)
    results[Check.RESPONSE] = State.UNKNOWN, gettext("The peer does not say it without a person.")
    try:
        ours = questions.ask(uri)
    except PeerError as error:
        results[Check.REDIRECT_URI] = _cannot_ask(uri, str(error))
        return ScopeAnswer()
    results[Check.REDIRECT_URI] = _redirect_uri(questions, ours)
    if not ours.redirects_to(uri):
        return ScopeAnswer()
    results[Check.RESPONSE] = pairing_standing.explain(
        standing, _response(peer, ours), PeerRefused("", status=ours.status, error=ours.error)
    )
    return _scopes(questions, ours, listed)


def _cannot_ask(uri: str, why: str) -> Result:
    text = gettext("It cannot be asked (%(why)s). The peer must have exactly this one: %(uri)s")
    return State.UNKNOWN, text % {"why": why.rstrip("."), "uri": uri}


def _redirect_uri(questions: _Questions, ours: Answer) -> Result:
    """Return the result of the check that the peer has registered the redirect URI of this site
    (RFC 6749, section 3.1.2.2).

    :param ours: the response to a request with this redirect URI.
    """
    uri, made_up = questions.uri, f"https://{secrets.token_hex(8)}.invalid/callback/"
    try:
        if ours.redirects_to(uri):
            if not questions.ask(made_up).redirects_to(made_up):
                return State.PASSED, uri
            why = gettext("it redirects to any address, although it must refuse an unknown one")
            return _cannot_ask(uri, why)
        default = questions.ask(None)
        found = default.target if default.is_response and not default.redirects_to(uri) else ""
        if found or ours.refuses_redirect_uri:
            return State.FAILED, _mismatch(uri, found)
        if ours.status < 400 and questions.ask(made_up).refuses_redirect_uri:
            return State.PASSED, uri
    except PeerError as error:
        if ours.refuses_redirect_uri:
            return State.FAILED, _mismatch(uri, "")
        return _cannot_ask(uri, str(error))
    return _cannot_ask(uri, gettext("its response does not tell whether it knows it"))


def _mismatch(uri: str, found: str) -> str:
    """Return that the peer does not know the redirect URI of this site.

    :param found: the redirect URI that it has in its place. A peer with only one redirect URI uses
        it if the request names none (RFC 6749, section 3.1.2.3).
    """
    if not found:
        text = gettext("The peer does not know it. It must have exactly this one: %(uri)s")
        return text % {"uri": uri}
    return gettext(
        "The peer redirects people to %(found)s, and not to this site. It must have the redirect "
        "URI: %(uri)s"
    ) % {"found": found[:500], "uri": uri}


def _response(peer: Peer, ours: Answer) -> Result:
    """Return the result of the check that the peer accepts an authorization request of this site,
    and names itself by the issuer that this site knows (RFC 9207, section 2.4)."""
    if ours.issuer and peer.issuer and ours.issuer != peer.issuer:
        return State.FAILED, gettext(
            "Its responses name the issuer %(found)s. This site knows it as %(issuer)s, so it "
            "refuses them."
        ) % {"found": plain(ours.issuer, 500), "issuer": peer.issuer}
    if ours.is_response and peer.sends_iss and not ours.issuer:
        return State.FAILED, gettext(
            "Its responses name no issuer. This site was told that they do, so it refuses them."
        )
    if ours.error in _NOBODY_THERE:
        return State.PASSED, gettext("It only says that nobody is signed in: %s.") % ours.error
    if ours.error in _REFUSING:
        text = gettext("It refuses authorization requests of this site: %s.")
        return State.FAILED, text % ours.error
    if ours.error == _INVALID_SCOPE:
        return State.UNKNOWN, gettext("It refuses the scope, so the rest is not known.")
    if ours.error in _PASSING:
        return State.UNKNOWN, gettext("It has a problem at the moment: %s.") % ours.error
    text = gettext("The response does not show the result of this check: %s.")
    return State.UNKNOWN, text % (ours.error or "–")


def _scopes(questions: _Questions, ours: Answer, listed: Sequence[str]) -> ScopeAnswer:
    """Find out what the peer says about the scopes (the error ``invalid_scope``: RFC 6749, section
    4.1.2.1). A peer may also ignore scopes that it does not know (RFC 6749, section 3.3). So no
    error shows something only if the peer refuses a scope that was made up.

    :param ours: the response to a request with all scopes.
    :param listed: the scopes in the metadata of the peer. If all are there, nothing is to be found.
    """
    asked = scopes.split(questions.scope)
    try:
        if ours.error == _INVALID_SCOPE:
            refused = [
                token
                for token in asked[:_MAX_SINGLE]
                if questions.ask(questions.uri, token).error == _INVALID_SCOPE
            ]
            return ScopeAnswer(is_refused=True, refused=tuple(refused))
        if set(asked) <= set(listed) or ours.error not in _NOBODY_THERE:
            return ScopeAnswer()
        made_up = questions.ask(questions.uri, f"made-up-{secrets.token_hex(8)}")
        return ScopeAnswer(is_accepted=made_up.error == _INVALID_SCOPE)
    except PeerError:
        return ScopeAnswer(is_refused=ours.error == _INVALID_SCOPE)
