"""What becomes of a reciprocal code: redeemed once, replayed, out of date."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.auth import get_user_model
from django.db import connection, transaction
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_grant_model,
    get_refresh_token_model,
)
from oauth2_provider.oauth2_validators import OAuth2Validator
from pytest_django import Settings

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.delivery import worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, LinkEvent, OutboxItem, Peer, ReciprocalCode, Step
from reciprocal_oauth.party_a import consent, redemption
from reciprocal_oauth.provider.token_view import TokenView
from reciprocal_oauth.provider.validator import ReciprocalValidatorMixin

from ..fakes import FakePeer, Reply
from .conftest import assert_token_is_dead, call_api

pytestmark = pytest.mark.django_db

CodeMaker = Callable[..., str]
Post = Callable[..., Any]


def codes_sent(fake_peer: FakePeer) -> list[str]:
    forms = [request.form for request in fake_peer.to("/token/")]
    return [form["code"] for form in forms if form["grant_type"] == GRANT_TYPE]


def checked() -> redemption.Redemption:
    """The only code, as a token request that is still to be answered has checked it."""
    entry = ReciprocalCode.objects.select_related("link__peer", "link__user").get()
    return redemption.check_redeemable(entry, sent=set())


def assert_refused(response: Any) -> None:
    assert (response.status_code, response.json()["error"]) == (400, "invalid_grant")


@pytest.mark.draft("Reciprocal Authorization Code")
@pytest.mark.rfc("6749", "5.1")
def test_the_redemption_completes_the_hand_over(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post
) -> None:
    assert link_as_a.outbox.count() == 0
    code = reciprocal_code()
    assert link_as_a.outbox.get().state == OutboxItem.State.ACCEPTED

    response = redeem(code)

    assert response["Cache-Control"] == "no-store"
    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    assert link_as_a.outbox.get().state == OutboxItem.State.DONE
    refresh_token = get_refresh_token_model().objects.get()
    assert refresh_token.user == link_as_a.user
    assert link_as_a.incoming_family == refresh_token.token_family
    steps = [event.step for event in LinkEvent.objects.all()]
    assert steps == [Step.CONSENT, Step.E, Step.F, Step.G]


@pytest.mark.rfc("6749", "3.2")
@pytest.mark.threat("P1")
def test_a_redemption_with_a_repeated_parameter_is_refused(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post
) -> None:
    code = reciprocal_code()

    for codes, more in (([code, code], {}), (["another", code], {}), (code, {"x": ["1", "2"]})):
        response = redeem(codes, **more)
        assert (response.status_code, response.json()["error"]) == (400, "invalid_request")
    assert_refused(redeem([code, "another"]))

    assert redeem(code).status_code == 200


@pytest.mark.threat("R3")
def test_a_code_that_is_redeemed_after_all_ends_the_hand_over_that_was_given_up(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = Reply(403, b"")  # Of something between the two sites, say.
    code = reciprocal_code()
    assert link_as_a.outbox.get().state == OutboxItem.State.FAILED

    assert redeem(code).status_code == 200

    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    row = link_as_a.outbox.get()
    assert (row.state, row.reason) == (OutboxItem.State.DONE, "")


def test_one_of_an_older_decision_stays_given_up(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post, fake_peer: FakePeer
) -> None:
    fake_peer.answers["/token/"] = [Reply(403, b""), Reply()]
    reciprocal_code("playback")
    link_as_a.refresh_from_db()

    assert redeem(reciprocal_code("profile")).status_code == 200

    states = link_as_a.outbox.order_by("generation").values_list("state", flat=True)
    assert list(states) == [OutboxItem.State.FAILED, OutboxItem.State.DONE]


@pytest.mark.threat("R27")
def test_a_code_that_has_not_reached_a_replica_is_redeemed_and_its_replay_noticed(
    link_as_a: Link,
    reciprocal_code: CodeMaker,
    redeem: Post,
    replica_falls_behind: Callable[..., None],
) -> None:
    # DOT itself cannot do without these two.
    replica_falls_behind(get_grant_model(), get_access_token_model())
    code = reciprocal_code()

    assert redeem(code).status_code == 200

    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    assert link_as_a.incoming_family is not None
    assert_refused(redeem(code))
    assert not get_access_token_model().objects.using("default").exists()


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C7", "F12")
@pytest.mark.parametrize("atomic_requests", [False, True])
def test_a_replay_costs_every_token_of_the_first_redemption(
    monkeypatch: pytest.MonkeyPatch,
    reciprocal_code: CodeMaker,
    redeem: Post,
    refresh: Post,
    caplog: pytest.LogCaptureFixture,
    atomic_requests: bool,
) -> None:
    monkeypatch.setitem(connection.settings_dict, "ATOMIC_REQUESTS", atomic_requests)
    code = reciprocal_code()
    first = redeem(code).json()
    rotated = refresh(first["refresh_token"]).json()

    assert_refused(redeem(code))

    assert "replay of a redeemed code" in caplog.text
    for tokens in (first, rotated):
        assert_token_is_dead(tokens["access_token"])
        assert_refused(refresh(tokens["refresh_token"]))
    assert not get_access_token_model().objects.exists()


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C7")
def test_of_two_requests_that_were_both_checked_one_redeems_the_code(
    reciprocal_code: CodeMaker,
) -> None:
    reciprocal_code()
    one, other = checked(), checked()

    with transaction.atomic():
        assert redemption.mark_redeemed(one) == Link.objects.get()
    with pytest.raises(redemption.Refused), transaction.atomic():
        redemption.mark_redeemed(other)


@pytest.mark.threat("C7")
def test_a_code_whose_link_is_deleted_after_the_check_is_refused(
    reciprocal_code: CodeMaker,
) -> None:
    reciprocal_code()
    redeeming = checked()
    Link.objects.all().delete()

    with pytest.raises(redemption.Refused, match="the link was deleted"), transaction.atomic():
        redemption.mark_redeemed(redeeming)


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("C7")
def test_after_a_replay_the_consent_stands_and_a_new_code_is_sent(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post, fake_peer: FakePeer
) -> None:
    code = reciprocal_code("profile playback")
    redeem(code)
    redeem(code)

    link_as_a.refresh_from_db()
    assert link_as_a.incoming_state == Link.Incoming.GRANTED
    assert link_as_a.linked_at is None
    worker.drain()
    new = codes_sent(fake_peer)[-1]
    assert new != code
    assert redeem(new).json()["scope"] == "profile playback"
    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way


#: Where a request may be when another one redeems its code.
MOMENTS = [
    (OAuth2Validator, "validate_code"),
    (OAuth2Validator, "confirm_redirect_uri"),
    (OAuth2Validator, "get_code_challenge"),
    (ReciprocalValidatorMixin, "save_bearer_token"),
]


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C7", "C10")
@pytest.mark.parametrize(("owner", "method"), MOMENTS, ids=[name for _, name in MOMENTS])
def test_a_replay_that_comes_while_the_first_request_is_answered_is_one_too(
    link_as_a: Link,
    reciprocal_code: CodeMaker,
    redeem: Post,
    fake_peer: FakePeer,
    monkeypatch: pytest.MonkeyPatch,
    owner: type,
    method: str,
) -> None:
    # The peer gave up waiting and asks again; the answer to its first request finds nobody.
    code = reciprocal_code()
    go_on = getattr(owner, method)
    first: list[Any] = []

    def while_the_first_is_answered(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not first:
            first.append(None)
            first.append(redeem(code))
        return go_on(self, *args, **kwargs)

    monkeypatch.setattr(owner, method, while_the_first_is_answered)

    assert_refused(redeem(code))

    assert first[1].status_code == 200
    assert_token_is_dead(first[1].json()["access_token"])
    worker.drain()
    assert redeem(codes_sent(fake_peer)[-1]).status_code == 200
    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way


@pytest.mark.threat("C7")
def test_replays_are_answered_with_three_codes_at_once_and_then_one_an_hour(
    reciprocal_code: CodeMaker, redeem: Post, fake_peer: FakePeer
) -> None:
    code = reciprocal_code()
    start = timezone.now()

    with time_machine.travel(start, tick=False) as clock:
        for round_ in range(1, 4):
            redeem(code)
            assert_refused(redeem(code))
            worker.drain()
            assert len(codes_sent(fake_peer)) == 1 + round_, "sent anew, at once"
            code = codes_sent(fake_peer)[-1]

        for hours in (0, 1):
            redeem(code)
            assert_refused(redeem(code))
            clock.move_to(start + timedelta(hours=hours, minutes=59))
            worker.drain()
            assert len(codes_sent(fake_peer)) == 4 + hours
            clock.move_to(start + timedelta(hours=hours + 1))
            worker.drain()
            assert len(codes_sent(fake_peer)) == 5 + hours
            code = codes_sent(fake_peer)[-1]


@pytest.mark.threat("C7")
def test_how_many_at_once_is_a_setting(
    reciprocal_code: CodeMaker, redeem: Post, fake_peer: FakePeer, settings: Settings
) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"MAX_REISSUES": 0}
    code = reciprocal_code()

    redeem(code)
    assert_refused(redeem(code))
    worker.drain()

    assert len(codes_sent(fake_peer)) == 1


@pytest.mark.threat("C7")
def test_a_new_decision_of_the_person_starts_the_count_anew(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post, fake_peer: FakePeer
) -> None:
    code = reciprocal_code()
    for _ in range(4):
        redeem(code)
        redeem(code)
        worker.drain()
        code = codes_sent(fake_peer)[-1]
    Link.objects.update(incoming_state=Link.Incoming.OFFERED)
    link_as_a.refresh_from_db()
    code = reciprocal_code()
    sent = len(codes_sent(fake_peer))

    redeem(code)
    redeem(code)
    worker.drain()

    assert len(codes_sent(fake_peer)) == sent + 1


@pytest.mark.threat("C7")
def test_the_replay_of_a_code_whose_tokens_were_replaced_leaves_the_new_ones_alone(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post
) -> None:
    old = reciprocal_code("playback")
    redeem(old)
    Link.objects.update(incoming_state=Link.Incoming.OFFERED)
    link_as_a.refresh_from_db()
    new = redeem(reciprocal_code("profile playback")).json()

    assert_refused(redeem(old))

    assert call_api(new["access_token"]).status_code == 200
    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way
    assert link_as_a.incoming_family is not None


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S3")
def test_the_tokens_of_the_decision_before_die_when_the_new_code_is_redeemed(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post, refresh: Post
) -> None:
    old = redeem(reciprocal_code("playback")).json()
    Link.objects.update(incoming_state=Link.Incoming.OFFERED)
    link_as_a.refresh_from_db()
    code = reciprocal_code("profile playback")
    assert call_api(old["access_token"]).status_code == 200, "until then they work"

    new = redeem(code).json()

    assert new["scope"] == "profile playback"
    assert_token_is_dead(old["access_token"])
    assert_refused(refresh(old["refresh_token"]))


@pytest.mark.draft("Authorization Update Flow")
@pytest.mark.threat("S10", "I4")
def test_only_the_code_of_the_last_decision_can_be_redeemed(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post
) -> None:
    older = reciprocal_code("playback")
    Link.objects.update(incoming_state=Link.Incoming.OFFERED)
    link_as_a.refresh_from_db()

    consent.allow(link_as_a, ["profile"])
    assert_refused(redeem(older))
    worker.drain()

    assert ReciprocalCode.objects.filter(state=ReciprocalCode.State.LIVE).count() == 1
    assert_refused(redeem(older))


@pytest.mark.threat("B80")
def test_a_code_that_is_refused_is_a_warning_that_names_the_peer(
    link_as_a: Link,
    reciprocal_code: CodeMaker,
    redeem: Post,
    application: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    code = reciprocal_code()
    end_link(link_as_a)

    assert_refused(redeem(code))

    said = [each for each in caplog.records if each.name == "reciprocal_oauth.provider"]
    assert [each.levelname for each in said] == ["WARNING"]
    assert f"(peer music, client {application.client_id})" in said[0].getMessage()
    assert code not in caplog.text


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C11")
def test_a_code_dies_after_a_minute_and_another_is_sent(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post, fake_peer: FakePeer
) -> None:
    start = timezone.now()
    with time_machine.travel(start, tick=False) as clock:
        code = reciprocal_code()
        clock.move_to(start + timedelta(seconds=61))
        assert_refused(redeem(code))

        clock.move_to(start + timedelta(seconds=121))
        worker.drain()
        assert redeem(codes_sent(fake_peer)[-1]).status_code == 200

    link_as_a.refresh_from_db()
    assert link_as_a.is_two_way


def deactivate_user(link: Link) -> None:
    get_user_model().objects.filter(pk=link.user_id).update(is_active=False)


def delete_user(link: Link) -> None:
    get_user_model().objects.filter(pk=link.user_id).delete()


def disable_peer(link: Link) -> None:
    Peer.objects.filter(pk=link.peer_id).update(enabled=False)


def end_link(link: Link) -> None:
    lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=False)


def deny_access(link: Link) -> None:
    consent.deny(link)


EVENTS = [deactivate_user, delete_user, disable_peer, end_link, deny_access]


@pytest.mark.threat("C14", "F15")
@pytest.mark.parametrize("event", EVENTS)
def test_a_code_that_was_overtaken_cannot_be_redeemed(
    link_as_a: Link,
    reciprocal_code: CodeMaker,
    redeem: Post,
    event: Callable[[Link], None],
) -> None:
    code = reciprocal_code()
    event(link_as_a)

    assert_refused(redeem(code))
    assert not get_access_token_model().objects.exists()


@pytest.mark.threat("C14", "F15", "T3")
@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize("hashed", [False, True])
def test_tokens_that_were_overtaken_open_nothing_and_are_not_renewed(
    dot_settings: Callable[..., None],
    link_as_a: Link,
    reciprocal_code: CodeMaker,
    redeem: Post,
    refresh: Post,
    event: Callable[[Link], None],
    hashed: bool,
) -> None:
    dot_settings(COMPLIANT_BCP_RFC9700_TOKEN_STORAGE=hashed)
    tokens = redeem(reciprocal_code()).json()
    assert call_api(tokens["access_token"]).status_code == 200

    event(link_as_a)

    assert_token_is_dead(tokens["access_token"])
    assert_refused(refresh(tokens["refresh_token"]))
    assert_token_is_dead(tokens["access_token"])


@pytest.mark.threat("Y1", "I13")
def test_a_link_that_is_deleted_while_its_code_is_redeemed_is_no_error(
    reciprocal_code: CodeMaker, redeem: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = reciprocal_code()
    mark_redeemed = redemption.mark_redeemed

    def deleted_meanwhile(mark: Any) -> Any:
        Link.objects.all().delete()
        return mark_redeemed(mark)

    monkeypatch.setattr(redemption, "mark_redeemed", deleted_meanwhile)

    assert_refused(redeem(code))
    assert not get_access_token_model().objects.exists()


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C7", "C10", "I13")
def test_a_replay_between_the_commit_and_the_answer_leaves_an_answer_that_is_no_error(
    reciprocal_code: CodeMaker, redeem: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    code = reciprocal_code()
    create_token_response = TokenView.create_token_response
    replays: list[Any] = []

    def replayed_meanwhile(self: Any, request: Any) -> Any:
        answer = create_token_response(self, request)
        if not replays:
            replays.append(None)
            replays.append(redeem(code))
        return answer

    monkeypatch.setattr(TokenView, "create_token_response", replayed_meanwhile)

    assert_refused(redeem(code))
    assert_refused(replays[1])


@pytest.mark.rfc("6749", "4.1.2")
@pytest.mark.threat("C7")
def test_a_replay_costs_the_access_token_of_a_redemption_without_refresh_token(
    link_as_a: Link, reciprocal_code: CodeMaker, redeem: Post
) -> None:
    code = reciprocal_code()
    tokens = redeem(code).json()
    get_refresh_token_model().objects.all().delete()  # As a site's own validator may have it.
    Link.objects.update(incoming_family=None)
    ReciprocalCode.objects.update(token_family=None)

    assert_refused(redeem(code))

    assert_token_is_dead(tokens["access_token"])
