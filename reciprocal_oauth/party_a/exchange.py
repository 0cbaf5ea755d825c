"""Steps (C) and (D): the code for an access token (RFC 6749, sections 4.1.3 and 4.1.4)."""

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
    """Trade the code for tokens and keep them on the person's link.

    :raises AuthorizationFailed: the peer was not there, refused, or answered nonsense, our secret
        there cannot be read, or the person is no longer a user here. Nothing is stored then, and
        the person can start again.
    """
    sent_at = timezone.now()
    answer, account = _ask(visit, response)
    # A person waits, but no longer than for the peer.
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
    if not _is_there(visit):
        # Nobody would use the tokens, and they must not live on there.
        outgoing_access.revoke_unused(Link(user_id=visit.user_id, peer=visit.peer), answer)
        raise AuthorizationFailed(Problem.NONE, "the user was deactivated or deleted meanwhile")
    offered = offered_scope(visit.peer, answer, response.reciprocal)
    why_not = _why_not(visit, offered)
    with atomic():
        link = _open(visit, account, answer)
        outgoing_access.set_tokens(link, answer, asked_scope=visit.peer.scope, called=visit.peer)
        link.outgoing_grant = uuid.uuid4()
        link.offered_scope = offered
        link.incoming_state = Link.Incoming.NONE if why_not else Link.Incoming.OFFERED
        link.incoming_reason = why_not
        link.save()
        visit.link = link
        visit.save(update_fields=["link"])
        _record_steps(link, visit, sent_at)
    if account and not account.name and visit.peer.userinfo_endpoint:
        _ask_for_the_name(link, visit.peer, answer.access_token)
    return link


def _why_not(visit: AuthorizationRequest, offered: str) -> str:
    """Why the person need not be asked about ``offered``; empty: they are."""
    if not offered:
        return Link.Reason.NOTHING_LEFT
    if not visit.peer.supports_reverse:
        return Link.Reason.NO_REVERSE
    return "" if grant_policy.allows_link(visit, offered) else Link.Reason.SITE_REFUSES


def _is_there(visit: AuthorizationRequest) -> bool:
    """Whether the person still is a user here: they may have been deactivated since the peer was
    asked."""
    now = AuthorizationRequest.objects.select_related("user").filter(pk=visit.pk).first()
    return now is not None and bool(now.user.is_active)


def _ask(
    visit: AuthorizationRequest, response: AuthorizationResponse
) -> tuple[TokenResponse, Account | None]:
    """:raises AuthorizationFailed: see :func:`exchange`."""
    if not is_bound(visit.bound_to, visit.peer, visit.peer.token_endpoint):
        raise AuthorizationFailed(Problem.WRONG_ISSUER, "the peer was set up anew meanwhile")
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
        # In front of a person, it must not end as a fault of the page: only a key mends it.
        raise AuthorizationFailed(Problem.SETUP, str(error)) from error
    except (PeerUnreachable, AddressRefused) as error:
        raise AuthorizationFailed(Problem.PEER_UNREACHABLE, str(error)) from error
    except PeerRefused as error:
        reason = Problem.PEER_ERROR if error.may_pass else Problem.PEER_REFUSED
        raise AuthorizationFailed(reason, str(error)) from error
    except BadResponse as error:
        raise AuthorizationFailed(Problem.BAD_RESPONSE, str(error)) from error


def _account(visit: AuthorizationRequest, answer: TokenResponse) -> Account | None:
    """:raises AuthorizationFailed, BadResponse: the peer tells, but it cannot be believed."""
    if answer.id_token is None:
        return None
    if not visit.peer.issuer:
        if visit.nonce:
            # Only an issuer that is set up can be compared. The form of a peer asks for it.
            raise AuthorizationFailed(Problem.SETUP, "an ID token, and the peer has no issuer")
        return None  # Nobody asked for it.
    return id_token.read(
        visit.peer, answer.id_token.reveal(), nonce=visit.nonce, now=timezone.now()
    )


def _ask_for_the_name(link: Link, peer: Peer, access_token: Secret) -> None:
    """Ask what people call the account. The connection is stored by now, and good without.

    :param peer: as it was when it gave the token.
    """
    try:
        name = userinfo.name_of(peer, link.subject, access_token)
    except PeerError as error:
        logger.warning("Peer %s does not tell what an account is called: %s", peer.slug, error)
        return
    if name:
        link.account_name = name
        Link.objects.filter(pk=link.pk, subject=link.subject).update(account_name=name)


def _open(visit: AuthorizationRequest, account: Account | None, answer: TokenResponse) -> Link:
    """The link of the account, locked. Where the peer does not tell whose account it is,
    connecting again replaces the link."""
    key = key_of_subject(account.subject) if account else KEY_UNKNOWN
    link, created = Link.objects.select_for_update().get_or_create(
        user=visit.user, peer=visit.peer, account_key=key
    )
    if account:
        link.subject, link.account_name = account.subject, account.name or link.account_name
    was_active = not created and link.is_active
    if not created:
        # Many servers give one refresh token for each account and client, and only the first time.
        keeps_refresh_token = account is not None and outgoing_access.may_keep_refresh_token(
            link, answer
        )
        _clear(link, answer, keeps_refresh_token=keeps_refresh_token)
    if not account and not was_active:
        _replace_the_other(link, answer)
    return link


def _replace_the_other(link: Link, answer: TokenResponse) -> None:
    """End the link that a login at this site opened, if it is the only one so far: most likely it
    is with the same account, and the person would see the connection twice."""
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


def _clear(link: Link, answer: TokenResponse, *, keeps_refresh_token: bool) -> None:
    """Make room for a new connection with the same account: what the old one gave either side is
    worthless from now on, save a refresh token that the peer has not replaced."""
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
