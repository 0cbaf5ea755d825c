"""An administrator's browser, and rows full of canaries."""

import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.signals import got_request_exception
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.views.debug import ExceptionReporter

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import (
    AuthorizationRequest,
    InboxItem,
    Link,
    LinkEvent,
    OutboxItem,
    Pairing,
    Party,
    Peer,
    ReciprocalCode,
    Step,
    peer_data,
)
from reciprocal_oauth.models.events import record_event
from reciprocal_oauth.models.fields import EncryptedField
from reciprocal_oauth.models.links import key_of_subject
from reciprocal_oauth.secret import Secret

#: What must not be seen anywhere. The secret of the application here is hashed by DOT.
CANARIES = (
    "canary-client-secret",
    "canary-access-token",
    "canary-refresh-token",
    "canary-code",
    "canary-revoked-token",
    "canary-data-of-code",
    "canary-data-of-link",
    "canary-of-pairing",
    "canary-of-visit",
    hash_of("canary-code"),
    "fernet2:",
)

SECRETS_OF_PAIRINGS = tuple(
    field.name for field in Pairing._meta.fields if isinstance(field, EncryptedField)
)

#: What can be looked at only.
LOOKED_AT = (Link, LinkEvent, OutboxItem, InboxItem, ReciprocalCode, AuthorizationRequest)


def admin_url(model: Any, page: str, *args: Any) -> str:
    return reverse(f"admin:reciprocal_oauth_{model._meta.model_name}_{page}", args=args)


def text_of(response: Any) -> str:
    """The page, which carries none of the canaries."""
    text: str = response.content.decode()
    assert not [canary for canary in CANARIES if canary in text]
    return text


@pytest.fixture
def admin(db: None, client: Client) -> Client:
    """A browser in which a superuser is signed in."""
    user = get_user_model().objects.create_superuser("root", password="root")
    client.force_login(user)
    return client


@pytest.fixture
def staff(db: None) -> Callable[..., Client]:
    """A browser in which somebody with these permissions is signed in."""

    def sign_in(*codenames: str) -> Client:
        user = get_user_model().objects.create_user("staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=codenames))
        client = Client()
        client.force_login(user)
        return client

    return sign_in


@pytest.fixture
def full_link(make_full_link: Callable[..., Link], user: Any) -> Link:
    return make_full_link(user, "alice")


@pytest.fixture
def make_full_link(peer: Peer) -> Callable[..., Link]:
    """A link with everything that hangs on one."""
    peer.client_secret = Secret("canary-client-secret")
    peer.save()

    def make(user: Any, subject: str) -> Link:
        link = Link.objects.create(
            user=user,
            peer=peer,
            account_key=key_of_subject(subject),
            subject=subject,
            access_token=Secret("canary-access-token"),
            refresh_token=Secret("canary-refresh-token"),
            peer_data=peer_data.written({"address": "canary-data-of-link"}),
            outgoing_state=Link.Outgoing.ACTIVE,
            incoming_state=Link.Incoming.BROKEN,
            incoming_reason=Link.Reason.HANDOVER_REFUSED,
        )
        record_event(link, Step.E, party=Party.A, detail="attempt 1: HTTP 503")
        OutboxItem.objects.create(peer=peer, link=link, last_error="HTTP 503")
        OutboxItem.objects.create(
            kind=OutboxItem.Kind.REVOCATION,
            peer=peer,
            link=link,
            token=Secret("canary-revoked-token"),
        )
        InboxItem.objects.create(
            peer=peer,
            link=link,
            code=Secret("canary-code"),
            code_hash=hash_of(subject),
            peer_data=peer_data.written({"address": "canary-data-of-code"}),
        )
        ReciprocalCode.objects.create(
            link=link,
            generation=1,
            code_hash=hash_of(f"canary-code{subject}"),
            application_pk="1",
            expires_at=timezone.now(),
        )
        for number, outcome in enumerate(({"link": link}, {"problem": "scope"})):
            AuthorizationRequest.objects.create(
                user=user,
                peer=peer,
                state_hash=f"canary-of-visit-{subject}-{number}",
                browser_hash="canary-of-visit",
                code_verifier=Secret("canary-of-visit"),
                nonce="canary-of-visit",
                return_to="https://app.example/canary-of-visit",
                redirect_uri="https://testserver/connections/music/callback/",
                answered_at=timezone.now(),
                **outcome,
            )
        return link

    return make


@pytest.fixture
def full_pairings(db: None, peer: Peer) -> list[Pairing]:
    """A pairing in each state, with a canary in each column that holds a secret or its hash."""
    secrets = {name: Secret("canary-of-pairing") for name in SECRETS_OF_PAIRINGS}
    hashes = ("code_hash", "reverse_token_hash", "issued_token_hash", "previous_token_hash")
    return [
        Pairing.objects.create(
            role=Pairing.Role.INVITER,
            state=state,
            peer=peer if state == Pairing.State.COMPLETE else None,
            slug="music",
            issuer="https://music.example/o",
            body_digest="canary-digest",
            issued_client_id="music-here",
            our_management_uri="https://music.example/canary-of-pairing/",
            expires_at=timezone.now() + timedelta(hours=1),
            **secrets,
            **dict.fromkeys(hashes, f"canary-of-pairing-{number}"),
        )
        for number, state in enumerate(Pairing.State.values)
    ]


@pytest.fixture
def reports() -> Iterator[list[str]]:
    """What the error reports of this test say."""
    made: list[str] = []

    def report(sender: Any, request: Any, **kwargs: Any) -> None:
        reporter = ExceptionReporter(request, *sys.exc_info())
        made.append(reporter.get_traceback_html() + reporter.get_traceback_text())

    got_request_exception.connect(report)
    yield made
    got_request_exception.disconnect(report)
