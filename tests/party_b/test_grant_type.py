"""Who may hand over: client authentication (RFC 6749, section 2.3) and the right to the grant."""

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.hashers import make_password
from django.db import IntegrityError, connection, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from oauth2_provider.models import get_access_token_model, get_application_model
from oauth2_provider.oauth2_validators import OAuth2Validator

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.models import InboxItem, Peer

from ..conftest import PEER_SECRET, basic

pytestmark = pytest.mark.django_db

HandOver = Callable[..., Any]


@pytest.fixture
def other(make_peer: Callable[..., Peer]) -> Any:
    """The application here of a second peer, with the same secret."""
    return make_peer("other").application


def assert_unauthenticated(response: Any) -> None:
    assert (response.status_code, response.content) == (401, b'{"error": "invalid_client"}')
    assert response["WWW-Authenticate"] == 'Basic realm="token"'
    assert response["Content-Type"] == "application/json"
    assert response["Cache-Control"] == "no-store"
    assert not InboxItem.objects.exists()


def assert_refused(response: Any, error: str) -> None:
    assert (response.status_code, response.json()) == (400, {"error": error})
    assert "WWW-Authenticate" not in response
    assert not InboxItem.objects.exists()


# Ways to authenticate


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "2.3.1")
def test_a_peer_authenticates_with_basic(
    hand_over: HandOver, token_of_a: Any, hashed: list[str]
) -> None:
    assert hand_over(access_token=token_of_a.raw).status_code == 200
    assert hashed == [PEER_SECRET]


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "2.3.1")
def test_a_peer_authenticates_in_the_body(
    hand_over: HandOver, token_of_a: Any, hashed: list[str]
) -> None:
    response = hand_over(access_token=token_of_a.raw, headers={}, client_secret=PEER_SECRET)

    assert response.status_code == 200
    assert hashed == [PEER_SECRET]


@pytest.mark.rfc("6749", "2.3.1")
def test_basic_credentials_are_form_encoded_before_they_are_joined(
    hand_over: HandOver, token_of_a: Any
) -> None:
    get_application_model().objects.update(client_secret=make_password("a b:c%+"))

    response = hand_over(
        access_token=token_of_a.raw, headers=basic("music%2Dhere", "a+b%3Ac%25%2B")
    )

    assert response.status_code == 200


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("B1", "B14", "F23")
@pytest.mark.parametrize(
    "credentials",
    [
        {"headers": {}},
        {"headers": {}, "client_secret": "wrong"},
        {"headers": {}, "client_secret": ""},
        {"headers": basic("music-here", "wrong")},
        {"headers": basic("music-here", "")},
        {"headers": basic("music-here", PEER_SECRET.upper())},
        {"headers": basic("music-here", PEER_SECRET + " ")},
        {"headers": basic("unknown", PEER_SECRET), "client_id": "unknown"},
        {"headers": {}, "client_id": "unknown", "client_secret": PEER_SECRET},
        {"headers": {"Authorization": ""}},
        {"headers": {"Authorization": "Basic"}},
        {"headers": {"Authorization": "Basic ####"}},
        {"headers": {"Authorization": "Basic bXVzaWM="}},
        {"headers": {"Authorization": "Digest username=music-here"}},
        {"headers": {"Authorization": "Bearer x"}, "client_secret": PEER_SECRET},
        {"headers": basic("m" * 256, PEER_SECRET), "client_id": "m" * 255},
        {"headers": basic("music-here", "s" * 1025)},
    ],
    ids=lambda credentials: "-".join(f"{k}={v}" for k, v in credentials.items())[:60],
)
def test_who_does_not_authenticate_is_told_nothing_else(
    hand_over: HandOver, token_of_a: Any, hashed: list[str], credentials: dict[str, Any]
) -> None:
    assert_unauthenticated(hand_over(access_token=token_of_a.raw, **credentials))
    assert len(hashed) <= 1


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6750", "2.1")
@pytest.mark.threat("B14")
@pytest.mark.parametrize("in_the_body", [True, False])
def test_an_access_token_is_no_client_authentication_and_is_not_looked_up(
    hand_over: HandOver, token_of_a: Any, in_the_body: bool
) -> None:
    table = get_access_token_model()._meta.db_table
    with CaptureQueriesContext(connection) as queries:
        response = hand_over(
            access_token=token_of_a.raw if in_the_body else "x",
            headers={"Authorization": f"Bearer {token_of_a.raw}"},
        )

    assert_unauthenticated(response)
    assert not [query for query in queries if table in query["sql"]]


@pytest.mark.threat("B14")
def test_a_stolen_access_token_without_the_secret_is_worth_nothing(
    hand_over: HandOver, token_of_a: Any
) -> None:
    assert_unauthenticated(hand_over(access_token=token_of_a.raw, headers={}))


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "2.3")
@pytest.mark.threat("B3", "F6")
@pytest.mark.parametrize(
    "change",
    [
        {"client_id": "other-here"},
        {"headers": basic("music-here", "wrong"), "client_id": "other-here",
         "client_secret": PEER_SECRET},
        {"headers": basic("music-here", "wrong"), "client_secret": PEER_SECRET},
        {"client_secret": PEER_SECRET},
        {"client_secret": "wrong"},
        {"client_id": "MUSIC-HERE"},
        {"client_id": "music-here "},
    ],
)  # fmt: skip
def test_two_ways_of_authenticating_or_two_identities_are_refused_before_any_check(
    hand_over: HandOver,
    token_of_a: Any,
    other: Any,
    hashed: list[str],
    change: dict[str, Any],
) -> None:
    assert_refused(hand_over(access_token=token_of_a.raw, **change), "invalid_request")
    assert hashed == []


@pytest.mark.rfc("6749", "2.3")
@pytest.mark.threat("B3", "F6", "F17")
def test_wrong_basic_credentials_are_not_made_good_by_the_client_id_in_the_body(
    hand_over: HandOver, token_of_a: Any, hashed: list[str]
) -> None:
    """The draft makes ``client_id`` mandatory, so DOT alone would hash a second time."""
    assert_unauthenticated(
        hand_over(access_token=token_of_a.raw, headers=basic("music-here", "wrong"))
    )
    assert hashed == ["wrong"]


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.threat("B4")
def test_client_id_is_required_beside_basic(hand_over: HandOver, token_of_a: Any) -> None:
    assert_refused(hand_over(access_token=token_of_a.raw, client_id=None), "invalid_request")


# Clients that cannot authenticate


@pytest.mark.rfc("6749", "2.3")
@pytest.mark.threat("F7")
@pytest.mark.parametrize(
    "credentials",
    [
        {"headers": {}},
        {"headers": {}, "client_secret": ""},
        {"headers": {}, "client_secret": "x"},
        {"headers": basic("music-here", "")},
        {"headers": basic("music-here", "x")},
        {"headers": {"Authorization": basic("music-here", "x")["Authorization"].lower()}},
        {"headers": {"Authorization": "basic " + basic("music-here", "x")["Authorization"][6:]}},
    ],
)
@pytest.mark.parametrize(
    "stored", ["", make_password("", hasher="md5")], ids=["nothing", "hash_of_nothing"]
)
@pytest.mark.parametrize("client_type", ["confidential", "public"])
def test_a_client_with_a_blank_secret_cannot_authenticate(
    hand_over: HandOver,
    token_of_a: Any,
    application: Any,
    credentials: dict[str, Any],
    stored: str,
    client_type: str,
) -> None:
    get_application_model().objects.filter(pk=application.pk).update(
        client_secret=stored, client_type=client_type
    )

    assert_unauthenticated(hand_over(access_token=token_of_a.raw, **credentials))


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "2.1")
@pytest.mark.threat("F7")
def test_a_public_client_is_refused_even_with_its_secret(
    hand_over: HandOver, token_of_a: Any
) -> None:
    get_application_model().objects.update(client_type="public")

    assert_unauthenticated(hand_over(access_token=token_of_a.raw))


# Clients that may not use the grant


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("B5")
def test_a_client_that_is_no_peer_may_not_hand_over(
    hand_over: HandOver,
    make_application: Callable[..., Any],
    make_token: Callable[..., Any],
    user: Any,
) -> None:
    token = make_token(make_application(), user)

    response = hand_over(
        access_token=token.raw, client_id="plain", headers=basic("plain", PEER_SECRET)
    )

    assert_refused(response, "unauthorized_client")


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("B5")
def test_a_disabled_peer_may_not_hand_over(
    hand_over: HandOver, token_of_a: Any, peer: Peer
) -> None:
    Peer.objects.update(enabled=False)

    assert_refused(hand_over(access_token=token_of_a.raw), "unauthorized_client")


@pytest.mark.threat("B5")
def test_two_peers_cannot_share_an_application(peer: Peer, other: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Peer.objects.update(application=other)


@pytest.mark.rfc("6749", "5.2")
@pytest.mark.threat("B5")
@pytest.mark.parametrize(
    ("site", "answer"),
    [("Refusing", {"error": "unauthorized_client"}), ("Deferring", {})],
)
def test_the_validator_of_the_site_decides_who_may_use_the_grant(
    dot_settings: Callable[..., None],
    hand_over: HandOver,
    token_of_a: Any,
    site: str,
    answer: dict[str, str],
) -> None:
    dot_settings(OAUTH2_VALIDATOR_CLASS=f"{__name__}.{site}")

    assert hand_over(access_token=token_of_a.raw).json() == answer


@pytest.mark.threat("B21")
def test_the_validator_of_the_site_may_refuse_an_access_token_by_what_it_is(
    dot_settings: Callable[..., None],
    hand_over: HandOver,
    make_token: Callable[..., Any],
    application: Any,
    user: Any,
) -> None:
    dot_settings(OAUTH2_VALIDATOR_CLASS=f"{__name__}.OnlyWithPlayback")
    profile = make_token(application, user, "profile")
    playback = make_token(application, user, "playback")

    assert_refused(hand_over(access_token=profile.raw), "invalid_grant")
    assert hand_over(access_token=playback.raw).status_code == 200


class Refusing(OAuth2Validator):
    def validate_grant_type(
        self, client_id: str, grant_type: str, client: Any, request: Any, *args: Any, **kw: Any
    ) -> bool:
        return grant_type != GRANT_TYPE


class Deferring(OAuth2Validator):
    def validate_grant_type(self, *args: Any, **kwargs: Any) -> bool:
        return bool(super().validate_grant_type(*args, **kwargs))


class OnlyWithPlayback(OAuth2Validator):
    def validate_reciprocal_access_token(self, token: Any, client: Any, request: Any) -> bool:
        assert token.application_id == client.pk
        return "playback" in token.scope.split()


# A site that is never party B


@pytest.mark.rfc("6749", "5.2")
def test_a_site_that_takes_no_hand_overs_does_not_know_the_grant(
    settings: Any, client: Client, hand_over: HandOver, token_of_a: Any
) -> None:
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ACCEPT_HANDOVERS": False}

    assert_refused(hand_over(access_token=token_of_a.raw), "unsupported_grant_type")
    metadata = client.get("/.well-known/oauth-authorization-server/o").json()
    assert GRANT_TYPE not in metadata["grant_types_supported"]


@pytest.mark.rfc("6749", "5.2")
def test_a_hand_over_needs_few_statements(
    hand_over: HandOver, token_of_a: Any, django_assert_max_num_queries: Any
) -> None:
    hand_over(access_token=token_of_a.raw, code="warm")
    InboxItem.objects.update(state=InboxItem.State.DONE)

    with django_assert_max_num_queries(9):
        assert hand_over(access_token=token_of_a.raw).status_code == 200
