"""Redeems the authorization code at the peer and stores the tokens from the response (RFC 6749,
sections 4.1.3 and 4.1.4).

These are the steps (C) and (D) of figure 1 in draft-ietf-oauth-reciprocal-04, section 2.
"""

import logging
import time
import uuid
from datetime import datetime

from django.utils import timezone

from ..client import id_token, token_endpoint
from ..client.id_token import Account
from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core import protocol, telemetry
from ..core.database import atomic, saved_at_last
from ..exceptions import (
    AddressRefused,
    AuthorizationFailed,
    BadResponse,
    DecryptionError,
    PeerRefused,
    PeerUnreachable,
    ProxyFailed,
)
from ..links import (
    account_name,
    grant_policy,
    incoming_access,
    lifecycle,
    outgoing_access,
    outgoing_revocation,
)
from ..models import AuthorizationRequest, Link, Party, Step
from ..models.binding import is_bound
from ..models.events import record_event
from ..models.links import KEY_UNKNOWN, key_of_subject
from ..secret import Secret
from .callback import AuthorizationResponse
from .scope_hint import offered_scope

logger = logging.getLogger("reciprocal_oauth.party_a")
Problem = AuthorizationRequest.Problem
#: Error codes of a token endpoint that mean that the configuration of this site or of the peer is
#: wrong (RFC 6749, section 5.2).
_PROBLEMS = {
    protocol.INVALID_SCOPE: Problem.SCOPE,
    protocol.UNAUTHORIZED_CLIENT: Problem.SETUP,
    protocol.UNSUPPORTED_GRANT_TYPE: Problem.SETUP,
}


def exchange(visit: AuthorizationRequest, response: AuthorizationResponse) -> Link:
    """Redeem the authorization code at the token endpoint of the peer (RFC 6749, section 4.1.3) and
    store the tokens in the link of the user.

    :param visit: the row of the authorization request that the peer has answered.
    :param response: the authorization response of the peer, with the authorization code.
    :raises AuthorizationFailed: the peer cannot be reached, refuses the request or sends an invalid
        response; the client secret cannot be decrypted; or the user is no longer active. In these
        cases no token is stored, and the user can start again.
    """
    sent_at = timezone.now()
    with telemetry.span(telemetry.Step.TOKEN_REQUEST, visit.peer.slug):
        answer, account = _request_tokens(visit, response)
    # If the database fails, try to save the tokens again. Stop after HTTP_TOTAL_TIMEOUT_SECONDS,
    # the longest time of a request to the peer, because the user waits for this page.
    until = time.monotonic() + settings.HTTP_TOTAL_TIMEOUT_SECONDS
    return saved_at_last(
        "The tokens of a new connection",
        lambda: _save(visit, response, answer, account, sent_at),
        until=until,
    )


def _save(
    visit: AuthorizationRequest,
    response: AuthorizationResponse,
    answer: TokenResponse,
    account: Account | None,
    sent_at: datetime,
) -> Link:
    if not _is_user_active(visit):
        # Revoke the new tokens at the peer, because nobody will use them.
        outgoing_revocation.revoke_unused(Link(user_id=visit.user_id, peer=visit.peer), answer)
        raise AuthorizationFailed(Problem.NONE, "the user was deactivated or deleted meanwhile")
    offered = offered_scope(visit.peer, answer, response.reciprocal)
    not_asked = _why_not_asked(visit, offered)
    with atomic():
        link = _open_link(visit, account, answer)
        outgoing_access.set_tokens(link, answer, asked_scope=visit.peer.scope, called=visit.peer)
        link.outgoing_grant = uuid.uuid4()
        link.peer_data = Secret("")  # It belongs to the tokens of a hand-over.
        link.offered_scope = offered
        link.incoming_state = Link.Incoming.NONE if not_asked else Link.Incoming.OFFERED
        link.incoming_reason = not_asked
        link.save()
        visit.link = link
        visit.code_verifier = Secret("")  # It has been used, and the row is kept for a while.
        visit.save(update_fields=["link", "code_verifier"])
        _record_steps(link, visit, sent_at)
        if not_asked:
            lifecycle.announce_one_way(link)
    if not (account and account.name):
        account_name.ask_for(link, visit.peer, answer.access_token)
    return link


def _why_not_asked(visit: AuthorizationRequest, offered: str) -> str:
    """Return the reason why the user is not asked to grant the peer the scope ``offered``. Return
    an empty string if the user is asked."""
    if not offered:
        return Link.Reason.NOTHING_LEFT
    if not visit.peer.supports_reverse:
        return Link.Reason.NO_REVERSE
    return "" if grant_policy.allows_link(visit, offered) else Link.Reason.SITE_REFUSES


def _is_user_active(visit: AuthorizationRequest) -> bool:
    """Return whether the user of ``visit`` exists and is active now. Read the database again,
    because the user may have been deleted or deactivated during the request to the peer."""
    now = AuthorizationRequest.objects.select_related("user").filter(pk=visit.pk).first()
    return now is not None and bool(now.user.is_active)


def _request_tokens(
    visit: AuthorizationRequest, response: AuthorizationResponse
) -> tuple[TokenResponse, Account | None]:
    """Send the token request (RFC 6749, section 4.1.3; RFC 7636, section 4.5).

    :returns: two values: the token response, and the account that the ID token in it names
        (``None`` if there is no ID token that can be used).
    :raises AuthorizationFailed: the configuration of the peer is wrong or was changed, the peer
        cannot be reached, or its response is an error or invalid.
    """
    if not is_bound(visit.bound_to, visit.peer, visit.peer.token_endpoint):
        raise AuthorizationFailed(
            Problem.WRONG_ISSUER, "the configuration of the peer has changed meanwhile"
        )
    try:
        answer = token_endpoint.request_token(
            visit.peer,
            {
                "grant_type": "authorization_code",
                "code": response.code.reveal(),
                "redirect_uri": visit.redirect_uri,
                "code_verifier": visit.code_verifier.reveal() if visit.code_verifier else "",
            },
        )
        return answer, _account(visit, answer)
    except DecryptionError as error:
        # Show the user a message instead of a server error, although only an administrator can
        # restore the missing encryption key.
        raise AuthorizationFailed(Problem.SETUP, str(error)) from error
    except ProxyFailed as error:
        raise AuthorizationFailed(Problem.PROXY_FAILED, str(error)) from error
    except (PeerUnreachable, AddressRefused) as error:
        raise AuthorizationFailed(Problem.PEER_UNREACHABLE, str(error)) from error
    except PeerRefused as error:
        problem = _problem_of(error)
        raise AuthorizationFailed(problem, str(error), error=error.error) from error
    except BadResponse as error:
        raise AuthorizationFailed(Problem.BAD_RESPONSE, str(error)) from error


def _problem_of(error: PeerRefused) -> str:
    """Return the problem that leads an administrator to the cause of ``error`` (RFC 6749, section
    5.2)."""
    if error.refuses_credentials:
        return Problem.CREDENTIALS
    if error.may_pass:
        return Problem.PEER_ERROR
    return _PROBLEMS.get(error.error, Problem.PEER_REFUSED)


def _account(visit: AuthorizationRequest, answer: TokenResponse) -> Account | None:
    """Read the account at the peer from the ID token (OpenID Connect Core 1.0, section 3.1.3.7).

    :returns: the account, or ``None`` if the response has no ID token, or has an ID token that this
        site did not request and cannot check.
    :raises AuthorizationFailed: this site requested an ID token and got one, but the settings of
        the peer at this site contain no issuer.
    :raises BadResponse: the ID token is not valid.
    """
    if answer.id_token is None:
        return None
    if not visit.peer.issuer:
        if visit.nonce:
            # Without an issuer in the settings of the peer, the claim ``iss`` of the ID token
            # cannot be checked. This is rare: the form for a peer requires an issuer if the scope
            # contains ``openid``.
            raise AuthorizationFailed(Problem.SETUP, "an ID token, but the peer has no issuer")
        return None  # This site did not request the ID token, so ignore it.
    return id_token.read(
        visit.peer, answer.id_token.reveal(), nonce=visit.nonce, now=timezone.now()
    )


def _open_link(visit: AuthorizationRequest, account: Account | None, answer: TokenResponse) -> Link:
    """Find or create the link of the user with this account at the peer, lock it, and prepare it
    for the new tokens.

    If ``account`` is ``None``, the account is unknown. All connections of the user with this peer
    whose account is unknown share one link, so the new tokens replace the old tokens of this link.
    """
    key = key_of_subject(account.subject) if account else KEY_UNKNOWN
    link, created = Link.objects.select_for_update().get_or_create(
        user=visit.user, peer=visit.peer, account_key=key
    )
    if account:
        link.subject, link.account_name = account.subject, account.name or link.account_name
    else:
        link.account_name = ""  # The tokens can be for another account than the tokens before.
    was_active = not created and link.is_active
    if not created:
        # Keep the stored refresh token if the response contains no new one. A refresh token in the
        # response is OPTIONAL (RFC 6749, section 5.1), and many servers send it only when an
        # account is connected for the first time.
        keeps_refresh_token = account is not None and outgoing_access.may_keep_refresh_token(
            link, answer
        )
        _reset_link(link, answer, keeps_refresh_token=keeps_refresh_token)
    if not account and not was_active:
        _replace_login_link(link, answer)
    return link


def _replace_login_link(link: Link, answer: TokenResponse) -> None:
    """Find the active links of the user with the peer, except ``link``, where ``subject`` is empty
    (the account at the peer is unknown). If there is exactly one such link, end it.

    Such a link was created when the user started at the peer and logged in at this site. It
    probably belongs to the same account as ``link``, so with both links the user would see the same
    connection twice.
    """
    others = Link.objects.select_for_update().filter(
        user_id=link.user_id, peer_id=link.peer_id, status=Link.Status.ACTIVE, subject=""
    )
    found = list(others.exclude(pk=link.pk)[:2])
    if len(found) == 1:
        revoke = outgoing_revocation.revokes_replaced(link.peer)
        lifecycle.end_link(
            found[0],
            Link.Reason.REPLACED,
            revoke_outgoing=revoke and not outgoing_revocation.holds_token_from(found[0], answer),
        )


def _reset_link(link: Link, answer: TokenResponse, *, keeps_refresh_token: bool) -> None:
    """Prepare an existing link for a new connection with the same account at the peer.

    - Revoke the tokens that the peer holds at this site, and cancel the unfinished deliveries.
    - Revoke the old token of this site at the peer, except in three cases: the old refresh token is
      kept, ``answer`` contains the old token again, or this site does not revoke replaced tokens at
      this peer (:func:`.outgoing_revocation.revokes_replaced`).

    :param answer: the token response for the new connection.
    :param keeps_refresh_token: whether the link keeps its refresh token, because ``answer``
        contains no new refresh token.
    """
    if not keeps_refresh_token:
        if link.is_active and not outgoing_revocation.holds_token_from(link, answer):
            outgoing_revocation.revoke_outgoing(link, replaced=True)
        link.refresh_token = Secret("")
    incoming_access.revoke_incoming(link)
    lifecycle.cancel_deliveries(link)
    link.status = Link.Status.ACTIVE
    link.ended_at = link.linked_at = link.last_used_at = link.incoming_family = None
    link.incoming_scope = ""


def _record_steps(link: Link, visit: AuthorizationRequest, sent_at: object) -> None:
    record_event(link, Step.A, party=Party.A, at=visit.created_at)
    record_event(link, Step.B, party=Party.A, at=visit.answered_at)
    record_event(link, Step.C, party=Party.A, at=sent_at)
    record_event(link, Step.D, party=Party.A, detail=f"scope: {link.outgoing_scope or '–'}")
