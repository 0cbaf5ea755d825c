"""Steps (C) and (D): redeem the authorization code (RFC 6749, sections 4.1.3 and 4.1.4)."""

import logging
import time
import uuid
from datetime import datetime

from django.utils import timezone

from ..client import id_token, token_endpoint, userinfo
from ..client.id_token import Account
from ..client.token_endpoint import TokenResponse
from ..conf import settings
from ..core.database import atomic, saved_at_last
from ..exceptions import (
    AddressRefused,
    AuthorizationFailed,
    BadResponse,
    DecryptionError,
    PeerError,
    PeerRefused,
    PeerUnreachable,
)
from ..links import grant_policy, incoming_access, lifecycle, outgoing_access
from ..models import AuthorizationRequest, Link, Party, Peer, Step
from ..models.binding import is_bound
from ..models.events import record_event
from ..models.links import KEY_UNKNOWN, key_of_subject
from ..secret import Secret
from .callback import AuthorizationResponse
from .scope_hint import offered_scope

logger = logging.getLogger("reciprocal_oauth.party_a")
Problem = AuthorizationRequest.Problem


def exchange(visit: AuthorizationRequest, response: AuthorizationResponse) -> Link:
    """Redeem the code at the token endpoint of the peer (RFC 6749, section 4.1.3) and store the
    tokens in the link of the user.

    :raises AuthorizationFailed: the peer could not be reached, refused, or sent an invalid
        response; our client secret cannot be decrypted; or the user is no longer active. No token
        is stored then, and the user can start again.
    """
    sent_at = timezone.now()
    answer, account = _request_tokens(visit, response)
    # The user waits, but for no longer than for the peer.
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
        # Nobody will use the tokens, so they are revoked at the peer.
        outgoing_access.revoke_unused(Link(user_id=visit.user_id, peer=visit.peer), answer)
        raise AuthorizationFailed(Problem.NONE, "the user was deactivated or deleted meanwhile")
    offered = offered_scope(visit.peer, answer, response.reciprocal)
    not_asked = _why_not_asked(visit, offered)
    with atomic():
        link = _open_link(visit, account, answer)
        outgoing_access.set_tokens(link, answer, asked_scope=visit.peer.scope, called=visit.peer)
        link.outgoing_grant = uuid.uuid4()
        link.offered_scope = offered
        link.incoming_state = Link.Incoming.NONE if not_asked else Link.Incoming.OFFERED
        link.incoming_reason = not_asked
        link.save()
        visit.link = link
        visit.save(update_fields=["link"])
        _record_steps(link, visit, sent_at)
    if account and not account.name and visit.peer.userinfo_endpoint:
        _fetch_account_name(link, visit.peer, answer.access_token)
    return link


def _why_not_asked(visit: AuthorizationRequest, offered: str) -> str:
    """Return the reason why the user is not asked to grant ``offered``; empty: ask the user."""
    if not offered:
        return Link.Reason.NOTHING_LEFT
    if not visit.peer.supports_reverse:
        return Link.Reason.NO_REVERSE
    return "" if grant_policy.allows_link(visit, offered) else Link.Reason.SITE_REFUSES


def _is_user_active(visit: AuthorizationRequest) -> bool:
    """Whether the user of ``visit`` still exists and is active. That may have changed while the
    peer handled the request."""
    now = AuthorizationRequest.objects.select_related("user").filter(pk=visit.pk).first()
    return now is not None and bool(now.user.is_active)


def _request_tokens(
    visit: AuthorizationRequest, response: AuthorizationResponse
) -> tuple[TokenResponse, Account | None]:
    """Send the token request (RFC 6749, section 4.1.3; RFC 7636, section 4.5) and read the account
    from the ID token.

    :raises AuthorizationFailed: see :func:`exchange`.
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
        # Show the user a message, not a server error. Only an administrator can restore the key.
        raise AuthorizationFailed(Problem.SETUP, str(error)) from error
    except (PeerUnreachable, AddressRefused) as error:
        raise AuthorizationFailed(Problem.PEER_UNREACHABLE, str(error)) from error
    except PeerRefused as error:
        reason = Problem.PEER_ERROR if error.may_pass else Problem.PEER_REFUSED
        raise AuthorizationFailed(reason, str(error)) from error
    except BadResponse as error:
        raise AuthorizationFailed(Problem.BAD_RESPONSE, str(error)) from error


def _account(visit: AuthorizationRequest, answer: TokenResponse) -> Account | None:
    """Read the account from the ID token (OpenID Connect Core 1.0, section 3.1.3.7); ``None``: the
    peer does not say whose account it is.

    :raises AuthorizationFailed: an ID token was requested, but the peer has no issuer here.
    :raises BadResponse: the ID token is not valid.
    """
    if answer.id_token is None:
        return None
    if not visit.peer.issuer:
        if visit.nonce:
            # The claim iss cannot be compared. The form of a peer requires an issuer for openid.
            raise AuthorizationFailed(Problem.SETUP, "an ID token, but the peer has no issuer")
        return None  # The ID token was not requested.
    return id_token.read(
        visit.peer, answer.id_token.reveal(), nonce=visit.nonce, now=timezone.now()
    )


def _fetch_account_name(link: Link, peer: Peer, access_token: Secret) -> None:
    """Fetch the display name of the account from the UserInfo endpoint (OpenID Connect Core 1.0,
    section 5.3). The link is already stored and works without a name.

    :param peer: with the field values that the token request was sent with.
    """
    try:
        name = userinfo.name_of(peer, link.subject, access_token)
    except PeerError as error:
        logger.warning("Peer %s did not return the name of an account: %s", peer.slug, error)
        return
    if name:
        link.account_name = name
        Link.objects.filter(pk=link.pk, subject=link.subject).update(account_name=name)


def _open_link(visit: AuthorizationRequest, account: Account | None, answer: TokenResponse) -> Link:
    """Return the link of the account, new or reset, and locked. If the peer does not say whose
    account it is, the user has one link to the peer, which a new connection resets."""
    key = key_of_subject(account.subject) if account else KEY_UNKNOWN
    link, created = Link.objects.select_for_update().get_or_create(
        user=visit.user, peer=visit.peer, account_key=key
    )
    if account:
        link.subject, link.account_name = account.subject, account.name or link.account_name
    was_active = not created and link.is_active
    if not created:
        # Many servers issue only one refresh token for an account and a client, the first time. RFC
        # 6749, section 5.1: a refresh token in the response is OPTIONAL.
        keeps_refresh_token = account is not None and outgoing_access.may_keep_refresh_token(
            link, answer
        )
        _reset_link(link, answer, keeps_refresh_token=keeps_refresh_token)
    if not account and not was_active:
        _replace_login_link(link, answer)
    return link


def _replace_login_link(link: Link, answer: TokenResponse) -> None:
    """End the only other link of the user to the peer, if a login at this site opened it. It is
    probably with the same account, and the user would see the connection twice."""
    others = Link.objects.select_for_update().filter(
        user_id=link.user_id, peer_id=link.peer_id, status=Link.Status.ACTIVE, subject=""
    )
    found = list(others.exclude(pk=link.pk)[:2])
    if len(found) == 1:
        revoke = outgoing_access.revokes_replaced(link.peer)
        lifecycle.end_link(
            found[0],
            Link.Reason.REPLACED,
            revoke_outgoing=revoke and not outgoing_access.holds_token_from(found[0], answer),
        )


def _reset_link(link: Link, answer: TokenResponse, *, keeps_refresh_token: bool) -> None:
    """Prepare ``link`` for a new connection with the same account: revoke the tokens of both
    directions, except a refresh token that the peer has not replaced, and cancel deliveries."""
    if not keeps_refresh_token:
        if link.is_active and not outgoing_access.holds_token_from(link, answer):
            outgoing_access.revoke_outgoing(link, replaced=True)
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
