"""Creates rows for tests: a peer, and a user whose accounts at this site and at the peer are linked
in both directions."""

import secrets
import uuid
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_refresh_token_model,
)

from ..client.token_endpoint import TokenResponse
from ..compat import get_scopes_backend
from ..core.database import atomic
from ..links import lifecycle, outgoing_access
from ..models import Link, Peer
from ..party_b.link_opening import open_link
from ..secret import Secret
from .fake_peer import AUTHORIZATION_PATH, REVOCATION_PATH, TOKEN_PATH, FakePeer


@dataclass(frozen=True)
class LinkedUser:
    """A user whose accounts at this site and at a peer are linked in both directions.

    :ivar access_token: the access token with which the peer calls this site, in clear.
    :ivar refresh_token: the refresh token that belongs to ``access_token``, in clear.
    """

    user: Any
    peer: Peer
    link: Link
    access_token: str
    refresh_token: str


def create_peer(fake_peer: FakePeer, slug: str = "music", **values: Any) -> Peer:
    """Save a ``Peer`` with the addresses and credentials of ``fake_peer``. Also save the
    application with which ``fake_peer`` is a client of this site.

    :param values: field values of the ``Peer``. They replace the default values. By default, the
        peer can get every scope of this site.
    :raises ValidationError: the values are not valid for a ``Peer``.
    """
    fake_peer.own_client_id = f"{slug}-here"
    fake_peer.own_client_secret = secrets.token_urlsafe()
    model = get_application_model()
    application = model.objects.create(
        name=slug.title(),
        client_id=fake_peer.own_client_id,
        client_secret=fake_peer.own_client_secret,
        client_type=model.CLIENT_CONFIDENTIAL,
        authorization_grant_type=model.GRANT_AUTHORIZATION_CODE,
        redirect_uris=f"https://{slug}.example/connections/site/callback/",
    )
    url = fake_peer.url
    defaults = {
        "name": slug.title(),
        "homepage": f"{url}/",
        "issuer": fake_peer.issuer,
        "authorization_endpoint": f"{url}{AUTHORIZATION_PATH}",
        "token_endpoint": f"{url}{TOKEN_PATH}",
        "revocation_endpoint": f"{url}{REVOCATION_PATH}",
        "client_id": fake_peer.client_id,
        "client_secret": Secret(fake_peer.client_secret),
        "scope": fake_peer.scope,
        "allowed_scope": " ".join(get_scopes_backend().get_all_scopes()),
        "application": application,
    }
    peer = Peer(slug=slug, **{**defaults, **values})
    peer.full_clean()
    peer.save()
    return peer


def linked_user(
    fake_peer: FakePeer, user: Any = None, peer: Peer | None = None, scope: str | None = None
) -> LinkedUser:
    """Link a user with the peer that ``fake_peer`` plays, with valid tokens in both directions.

    :param user: the user; by default, a new user with the name ``alice``.
    :param peer: the peer; by default, the peer whose application ``fake_peer`` uses, or a new peer
        if there is no such peer.
    :param scope: the scope that the peer gets at this site; by default, the largest scope that the
        peer can get.
    """
    if user is None:
        user = get_user_model()._default_manager.create_user(
            **{get_user_model().USERNAME_FIELD: "alice"}
        )
    if peer is None:
        peers = Peer.objects.filter(application__client_id=fake_peer.own_client_id or None)
        peer = peers.first() or create_peer(fake_peer)
    if scope is None:
        scope = peer.allowed_scope
    tokens = fake_peer.issue_tokens()
    ends_at = timezone.now() + timedelta(seconds=tokens["expires_in"])
    with atomic():
        access_token, refresh_token, family = _issue_here(peer, user, scope)
        link = open_link(peer, user.pk, scope, family)
        response = TokenResponse(
            access_token=Secret(tokens["access_token"]),
            refresh_token=Secret(tokens["refresh_token"]),
            scope=tokens["scope"],
            expires_at=ends_at,
            id_token=None,
            reciprocal=None,
            has_reciprocal=False,
            ends_at=ends_at,
        )
        outgoing_access.set_tokens(link, response, asked_scope="", called=peer)
        link.outgoing_grant = uuid.uuid4()
        link.save()
        lifecycle.announce_two_way(link)
    return LinkedUser(user, peer, link, access_token, refresh_token)


def _issue_here(peer: Peer, user: Any, scope: str) -> tuple[str, str, uuid.UUID]:
    """Save the tokens with which the peer calls this site, as after an authorization code grant.

    :returns: the access token, the refresh token and their token family (DOT's ``token_family``,
        which all tokens from one grant share).
    """
    access, refresh, family = secrets.token_urlsafe(), secrets.token_urlsafe(), uuid.uuid4()
    row = get_access_token_model().objects.create(
        user=user,
        application=peer.application,
        token=access,
        scope=scope,
        expires=timezone.now() + timedelta(hours=1),
    )
    get_refresh_token_model().objects.create(
        user=user,
        application=peer.application,
        token=refresh,
        access_token=row,
        token_family=family,
    )
    return access, refresh, family
