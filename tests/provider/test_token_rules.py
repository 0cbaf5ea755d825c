"""What tokens of a peer may carry, whatever grant they came from, and when they end."""

import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import time_machine
from django.db import OperationalError, connection, connections, transaction
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from oauth2_provider.models import (
    get_access_token_model,
    get_application_model,
    get_grant_model,
)

from reciprocal_oauth.models import Link, Peer

from ..conftest import PEER_SECRET, basic, post_form
from .authorization import allow, ask, code_in, error_in, exchange, log_in
from .conftest import call_api

pytestmark = pytest.mark.django_db

Post = Callable[..., Any]


def use_grant(application: Any, grant: str, **values: Any) -> None:
    get_application_model().objects.filter(pk=application.pk).update(
        authorization_grant_type=grant, **values
    )
    application.refresh_from_db()


def narrow_peer(peer: Peer, settings: Any) -> None:
    Peer.objects.filter(pk=peer.pk).update(allowed_scope="profile")


def narrow_link(peer: Peer, settings: Any) -> None:
    Link.objects.update(incoming_scope="profile")


def narrow_site(peer: Peer, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"profile": "Your name"}}


def take_all(peer: Peer, settings: Any) -> None:
    Peer.objects.filter(pk=peer.pk).update(allowed_scope="history")


def empty_link(peer: Peer, settings: Any) -> None:
    Link.objects.update(incoming_scope="")


def empty_site(peer: Peer, settings: Any) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "SCOPES": {"history": "History"}}


@pytest.mark.rfc("7662", "2.2")
@pytest.mark.threat("S41")
@pytest.mark.parametrize("narrowing", [take_all, empty_link, empty_site])
def test_a_token_of_which_nothing_is_left_is_refused_everywhere(
    browser: Client, peer: Peer, application: Any, settings: Any, narrowing: Callable[..., None]
) -> None:
    tokens = log_in(browser, application, scope="playback")
    assert call_api(tokens["access_token"], "/api/whoami/").status_code == 200
    used_at = Link.objects.get().last_used_at

    narrowing(peer, settings)

    for path in ("/api/whoami/", "/api/playback/"):
        response = call_api(tokens["access_token"], path)
        assert response.status_code in (401, 403)
    headers = basic(application.client_id, PEER_SECRET)
    told = post_form(Client(), {"token": tokens["access_token"]}, headers, "/o/introspect/")
    assert told.json() == {"active": False}
    assert Link.objects.get().last_used_at == used_at


# Asking


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.threat("I10")
def test_a_peer_may_not_ask_for_more_than_it_may_hold(browser: Client, application: Any) -> None:
    response = ask(browser, application, scope="playback history")

    assert error_in(response["Location"]) == "invalid_scope"


@pytest.mark.rfc("6749", "4.1.2.1")
@pytest.mark.threat("I10")
def test_a_scope_that_is_added_to_the_consent_form_is_refused(
    browser: Client, application: Any
) -> None:
    page = ask(browser, application, scope="playback")
    fields = {k: v for k, v in page.context["form"].initial.items() if v}
    fields |= {"scope": "playback history", "allow": "Authorize"}

    assert error_in(browser.post("/o/authorize/", fields)["Location"]) == "invalid_scope"
    assert not get_grant_model().objects.exists()


@pytest.mark.rfc("6749", "3.3")
def test_a_peer_that_names_no_scope_is_given_the_default_cut_to_its_limit(
    browser: Client, application: Any
) -> None:
    tokens = log_in(browser, application, scope="")

    assert tokens["scope"] == "profile playback"


@pytest.mark.rfc("6749", "3.3")
def test_other_clients_may_ask_for_every_scope_of_the_site(
    browser: Client, peer: Peer, make_application: Callable[..., Any]
) -> None:
    application = make_application()

    assert log_in(browser, application, "profile history")["scope"] == "profile history"
    assert log_in(browser, application, "")["scope"] == "profile playback history"
    assert not Link.objects.exists()


@pytest.mark.threat("I10")
def test_a_code_that_was_issued_before_the_peer_was_narrowed_gives_less(
    browser: Client, peer: Peer, application: Any, settings: Any
) -> None:
    code = code_in(allow(browser, application, "profile playback"))
    narrow_peer(peer, settings)

    assert exchange(application, code).json()["scope"] == "profile"
    assert get_access_token_model().objects.get().scope == "profile"
    assert Link.objects.get().incoming_scope == "profile"


@pytest.mark.threat("I10")
def test_nothing_left_to_give_is_an_invalid_grant(
    browser: Client, peer: Peer, application: Any, settings: Any
) -> None:
    code = code_in(allow(browser, application))
    take_all(peer, settings)

    response = exchange(application, code)

    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    assert response["Content-Type"] == "application/json"
    assert not get_access_token_model().objects.exists()
    assert not Link.objects.exists()


# Refreshing


@pytest.mark.rfc("6749", "6")
@pytest.mark.threat("F14", "I10")
@pytest.mark.parametrize("narrow", [narrow_peer, narrow_link, narrow_site])
@pytest.mark.parametrize("rotate", [True, False])
def test_a_refreshed_token_carries_what_is_allowed_now(
    browser: Client,
    dot_settings: Callable[..., None],
    settings: Any,
    peer: Peer,
    application: Any,
    refresh: Post,
    narrow: Callable[[Peer, Any], None],
    rotate: bool,
) -> None:
    dot_settings(ROTATE_REFRESH_TOKEN=rotate)
    tokens = log_in(browser, application, "profile playback")
    narrow(peer, settings)

    renewed = refresh(tokens["refresh_token"])

    assert renewed.json()["scope"] == "profile"
    stored = get_access_token_model().objects.get()
    assert stored.scope == "profile"
    assert call_api(renewed.json()["access_token"]).status_code == 403


@pytest.mark.rfc("6749", "6")
@pytest.mark.threat("I10")
def test_a_refresh_with_nothing_left_is_an_invalid_grant(
    browser: Client, settings: Any, peer: Peer, application: Any, refresh: Post
) -> None:
    tokens = log_in(browser, application)
    take_all(peer, settings)

    response = refresh(tokens["refresh_token"])

    assert (response.status_code, response.json()) == (400, {"error": "invalid_grant"})
    Peer.objects.update(allowed_scope="playback")
    assert refresh(tokens["refresh_token"]).status_code == 200, "the refusal has spent nothing"


@pytest.mark.rfc("6749", "6")
def test_widening_the_peer_does_not_widen_its_tokens(
    browser: Client, peer: Peer, application: Any, refresh: Post
) -> None:
    tokens = log_in(browser, application)
    Peer.objects.update(allowed_scope="profile playback history")

    assert refresh(tokens["refresh_token"]).json()["scope"] == "playback"
    response = refresh(tokens["refresh_token"], scope="playback history")
    assert response.status_code == 400


@pytest.mark.rfc("6749", "6")
@pytest.mark.threat("F19", "T2")
def test_a_refresh_whose_answer_was_lost_can_be_repeated_where_the_site_gives_grace(
    browser: Client, dot_settings: Callable[..., None], application: Any, refresh: Post
) -> None:
    dot_settings(REFRESH_TOKEN_GRACE_PERIOD_SECONDS=120)
    tokens = log_in(browser, application)

    lost = refresh(tokens["refresh_token"]).json()
    again = refresh(tokens["refresh_token"]).json()

    assert again["refresh_token"] == lost["refresh_token"]
    assert call_api(again["access_token"]).status_code == 200
    assert refresh(again["refresh_token"]).status_code == 200


@pytest.mark.threat("C14")
def test_a_refresh_token_of_a_link_that_was_ended_by_force_is_refused(
    browser: Client, application: Any, refresh: Post
) -> None:
    tokens = log_in(browser, application)
    Link.objects.update(status=Link.Status.ENDED)

    assert refresh(tokens["refresh_token"]).json() == {"error": "invalid_grant"}


@pytest.mark.threat("B80")
def test_who_runs_this_site_reads_why_a_peer_gets_no_new_tokens(
    browser: Client, application: Any, refresh: Post, caplog: pytest.LogCaptureFixture
) -> None:
    tokens = log_in(browser, application)
    Link.objects.update(status=Link.Status.ENDED)

    refresh(tokens["refresh_token"])

    said = [each for each in caplog.records if each.name == "reciprocal_oauth.provider"]
    assert [each.levelname for each in said] == ["WARNING"]
    assert said[0].getMessage() == (
        "Tokens were refused: the person allows nothing any more "
        f"(peer music, client {application.client_id})"
    )


def test_tokens_from_before_the_client_became_a_peer_open_a_link_when_they_are_renewed(
    browser: Client,
    make_application: Callable[..., Any],
    make_peer: Callable[..., Peer],
    user: Any,
) -> None:
    application = make_application()
    tokens = log_in(browser, application, "playback history")
    peer = make_peer()
    Peer.objects.update(application=application)

    def renew(refresh_token: str) -> Any:
        return post_form(
            Client(),
            {"grant_type": "refresh_token", "refresh_token": refresh_token},
            basic(application.client_id, PEER_SECRET),
        )

    renewed = renew(tokens["refresh_token"]).json()

    assert renewed["scope"] == "playback", "cut to what the peer may hold"
    link = Link.objects.get()
    assert (link.user, link.peer, link.incoming_scope) == (user, peer, "playback")
    assert renew(renewed["refresh_token"]).status_code == 200
    assert Link.objects.count() == 1


# Using


@pytest.mark.rfc("6750", "3.1")
@pytest.mark.threat("I10")
def test_a_token_that_is_out_opens_no_more_than_its_peer_may_hold_now(
    browser: Client, settings: Any, peer: Peer, application: Any
) -> None:
    tokens = log_in(browser, application, "profile playback")
    assert call_api(tokens["access_token"]).status_code == 200
    narrow_peer(peer, settings)

    assert call_api(tokens["access_token"]).status_code == 403
    assert call_api(tokens["access_token"], "/api/whoami/").json() == {"username": "alice"}


@pytest.mark.rfc("6749", "4.4.3")
def test_a_peer_that_asks_for_no_scope_for_itself_gets_none(
    application: Any, peer: Peer, dot_settings: Callable[..., None]
) -> None:
    use_grant(application, "client-credentials")
    dot_settings(DEFAULT_SCOPES=[])

    response = post_form(
        Client(), {"grant_type": "client_credentials"}, basic(application.client_id, PEER_SECRET)
    )

    assert (response.status_code, response.json()["scope"]) == (200, "")


# Parameters that stand in for attributes


@pytest.mark.rfc("6749", "4.4")
@pytest.mark.threat("F4", "P12")
@pytest.mark.parametrize("name", ["user", "client", "scopes", "refresh_token_instance"])
def test_a_parameter_cannot_stand_in_for_what_the_server_knows(application: Any, name: str) -> None:
    use_grant(application, "client-credentials")

    response = post_form(
        Client(),
        {"grant_type": "client_credentials", "scope": "playback", name: "1"},
        basic(application.client_id, PEER_SECRET),
    )

    assert response.status_code == 200, response.content
    assert get_access_token_model().objects.get().user is None
    assert not Link.objects.exists()


@pytest.mark.rfc("6749", "4.2")
@pytest.mark.threat("F4")
def test_an_implicit_grant_that_poses_as_a_refresh_is_an_implicit_grant(
    browser: Client, application: Any
) -> None:
    use_grant(application, "implicit")

    location = allow(
        browser,
        application,
        response_type="token",
        grant_type="refresh_token",
        refresh_token_instance="1",
    )

    assert "access_token" in parse_qs(urlsplit(location).fragment)
    assert Link.objects.get().incoming_scope == "playback"


# Use


Captured = Callable[..., Any]


@pytest.fixture
def use(token_of_a: Any, django_capture_on_commit_callbacks: Captured) -> Callable[[], Any]:
    """Calls a resource here as the peer does; gives the status."""

    def call() -> Any:
        with django_capture_on_commit_callbacks(execute=True):
            return call_api(token_of_a.raw).status_code

    return call


def last_used_at() -> str | None:
    at = Link.objects.get().last_used_at
    return at and f"{at:%H:%M}"


def test_a_link_says_to_the_hour_when_its_peer_last_used_it(use: Callable[[], Any]) -> None:
    assert last_used_at() is None

    for at, noted in [("10:00", "10:00"), ("10:59", "10:00"), ("11:00", "11:00")]:
        with time_machine.travel(f"2026-11-27T{at}Z", tick=False):
            get_access_token_model().objects.update(expires=timezone.now() + timedelta(hours=1))
            assert use() == 200
        assert last_used_at() == noted


@pytest.mark.rfc("7662", "2.1")
def test_a_resource_server_that_asks_about_a_token_uses_it(
    token_of_a: Any, application: Any, django_capture_on_commit_callbacks: Captured
) -> None:
    with django_capture_on_commit_callbacks(execute=True):
        response = post_form(
            Client(),
            {"token": token_of_a.raw},
            basic(application.client_id, PEER_SECRET),
            "/o/introspect/",
        )

    assert response.json()["active"]
    assert last_used_at()


def test_a_token_that_is_refused_is_not_used(use: Callable[[], Any]) -> None:
    Link.objects.update(status=Link.Status.ENDED)

    assert use() == 401
    assert last_used_at() is None


@pytest.mark.django_db(transaction=True)
def test_a_call_is_answered_where_its_use_cannot_be_noted(
    token_of_a: Any, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(execute: Any, sql: str, *args: Any) -> Any:
        if sql.startswith("UPDATE"):
            raise OperationalError("read only")
        return execute(sql, *args)

    with connection.execute_wrapper(refuse):
        assert [call_api(token_of_a.raw).status_code for _ in range(3)] == [200, 200, 200]

    assert last_used_at() is None
    said = [each for each in caplog.records if each.name.startswith("reciprocal_oauth")]
    assert [each.levelname for each in said] == ["WARNING"]
    assert not [each for each in caplog.records if each.levelname == "ERROR"]


@pytest.mark.threat("D70")
def test_a_call_reads_no_link_that_has_ended(
    token_of_a: Any, peer: Peer, user: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who connects and disconnects all the time would make each call of the peer slower."""
    for number in range(20):
        Link.objects.create(
            user=user, peer=peer, account_key=f"ended-{number}", status=Link.Status.ENDED
        )
    read: list[Any] = []
    from_db = Link.from_db.__func__

    def counting(cls: type[Link], *args: Any, **kwargs: Any) -> Link:
        read.append(args)
        return from_db(cls, *args, **kwargs)

    monkeypatch.setattr(Link, "from_db", classmethod(counting))

    assert call_api(token_of_a.raw).status_code == 200
    assert len(read) == 1


@pytest.mark.threat("D70")
def test_a_token_of_links_that_have_all_ended_is_refused(token_of_a: Any) -> None:
    Link.objects.update(status=Link.Status.ENDED)

    assert call_api(token_of_a.raw).status_code == 401


@pytest.mark.django_db(transaction=True)
@pytest.mark.skipif(
    # Whether MariaDB can skip them, only a connection would tell.
    not connection.features.has_select_for_update,
    reason="needs row locks to skip",
)
def test_a_call_does_not_wait_for_those_who_work_on_its_link(token_of_a: Any) -> None:
    statuses: list[int] = []

    def call() -> None:
        statuses.append(call_api(token_of_a.raw).status_code)
        connections.close_all()

    with transaction.atomic():
        Link.objects.select_for_update().get()
        caller = threading.Thread(target=call)
        caller.start()
        caller.join(10)
        assert statuses == [200]
    assert last_used_at() is None


def test_a_call_asks_once_what_its_token_may_do(token_of_a: Any) -> None:
    with CaptureQueriesContext(connection) as captured:
        assert call_api(token_of_a.raw).status_code == 200

    table = Link._meta.db_table
    assert len([each for each in captured if f"FROM {quoted(table)}" in each["sql"]]) == 1


def quoted(name: str) -> str:
    return connection.ops.quote_name(name)
