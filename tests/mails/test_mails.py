"""Mails to people about their connections: each event once, nothing that is no longer true."""

import smtplib
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core import mail
from django.core.mail import EmailMessage
from django.db.models import Q
from django.test import Client
from django.utils import timezone, translation
from pytest_django import Settings

from reciprocal_oauth.delivery import chores, worker
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import AuthorizationRequest, Link, Notice
from reciprocal_oauth.presentation import reasons

pytestmark = pytest.mark.django_db(transaction=True)

SITE = "https://site.example"
Reason = Link.Reason


@pytest.fixture(autouse=True)
def site_sends_mails(settings: Settings) -> None:
    settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {
        "MAIL_EVENTS": ["connected", "ended", "needs_attention"],
        "BASE_URL": SITE,
    }


@pytest.fixture
def link(link_as_a: Link, user: Any) -> Link:
    """A link whose two directions have just begun to work, and a user with a mail address."""
    user.email = "alice@people.example"
    user.save()
    link_as_a.account_name = "alice at music"
    link_as_a.incoming_state = Link.Incoming.ACTIVE
    link_as_a.incoming_scope = "playback"
    link_as_a.save()
    return link_as_a


def sent() -> list[EmailMessage]:
    """What is sent when the workers look, now and again."""
    worker.drain()
    worker.drain()
    return list(mail.outbox)


class TestConnected:
    def test_the_person_reads_what_was_connected_and_where_to_end_it(self, link: Link) -> None:
        lifecycle.announce_two_way(link)

        (message,) = sent()
        assert message.to == ["alice@people.example"]
        assert message.subject == f"{link.peer} is connected with your account at site.example"
        assert "alice at music" in message.body
        assert f"{SITE}/connections/links/{link.pk}/" in message.body

    def test_a_second_signal_for_the_same_event_sends_no_second_mail(self, link: Link) -> None:
        lifecycle.announce_two_way(link)
        lifecycle.signals.linked_both_ways.send(Link, link=link)

        assert len(sent()) == 1

    def test_a_one_way_connection_is_told_as_well(self, link: Link, browser: Client) -> None:
        Link.objects.update(incoming_state=Link.Incoming.OFFERED, offered_scope="playback")

        browser.post(f"/connections/links/{link.pk}/consent/", {"answer": "deny"})

        (message,) = sent()
        assert "is connected" in message.subject
        assert "may do at site.example" not in message.body

    def test_a_later_refusal_connects_nothing(self, link: Link, browser: Client) -> None:
        Link.objects.update(incoming_state=Link.Incoming.BROKEN, offered_scope="playback")

        browser.post(f"/connections/links/{link.pk}/consent/", {"answer": "deny"})

        assert Link.objects.get().incoming_state == Link.Incoming.DENIED
        assert sent() == []

    def test_it_is_written_in_the_language_in_which_the_person_connected(self, link: Link) -> None:
        AuthorizationRequest.objects.create(
            user=link.user, peer=link.peer, state_hash="1", redirect_uri="x", language="de"
        )
        with translation.override("de"):
            german = reasons.for_people(Reason.REVOKED_BY_PEER, link.peer.name)
        lifecycle.end_link(link, Reason.REVOKED_BY_PEER, revoke_outgoing=False)

        (message,) = sent()
        assert german in message.body
        assert reasons.for_people(Reason.REVOKED_BY_PEER, link.peer.name) not in message.body

    def test_a_connection_that_ended_at_once_is_only_told_as_ended(self, link: Link) -> None:
        lifecycle.announce_two_way(link)
        lifecycle.end_link(link, Reason.REVOKED_HERE, revoke_outgoing=False)

        (message,) = sent()
        assert "no longer connected" in message.subject


class TestEnded:
    def test_disconnecting_on_the_page_sends_one_mail(self, link: Link, browser: Client) -> None:
        browser.post(f"/connections/links/{link.pk}/disconnect/")

        (message,) = sent()
        assert "no longer connected" in message.subject

    @pytest.mark.parametrize("reason", [Reason.REPLACED, Reason.USER_INACTIVE])
    def test_no_mail_if_a_newer_connection_replaced_it(self, link: Link, reason: str) -> None:
        lifecycle.end_link(link, reason, revoke_outgoing=False)

        assert sent() == []


class TestNeedsAttention:
    def broken(self, link: Link) -> None:
        lifecycle.break_outgoing(link, Reason.REFRESH_REFUSED, still=Q())

    def test_it_waits_so_that_both_directions_are_in_one_mail(self, link: Link) -> None:
        self.broken(link)
        lifecycle.break_lost_incoming(link, Reason.EXPIRED)
        assert sent() == []

        with time_machine.travel(timezone.now() + timedelta(minutes=3), tick=False):
            (message,) = sent()

        assert "needs your attention" in message.subject
        assert "no longer renews the access" in message.body
        assert "could not be renewed" in message.body

    def test_nothing_is_sent_if_it_works_again_in_time(self, link: Link) -> None:
        self.broken(link)
        Link.objects.update(outgoing_state=Link.Outgoing.ACTIVE)

        with time_machine.travel(timezone.now() + timedelta(minutes=3), tick=False):
            assert sent() == []
        assert chores.next_due_at() is None

    def test_what_the_person_has_chosen_needs_no_attention(self, link: Link) -> None:
        lifecycle.break_lost_incoming(link, Reason.REVOKED_HERE)

        assert not Notice.objects.exists()


class TestSending:
    def test_without_the_setting_no_mail_is_noted(self, link: Link, settings: Settings) -> None:
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"MAIL_EVENTS": []}

        lifecycle.announce_two_way(link)

        assert not Notice.objects.exists()

    def test_what_the_site_has_switched_off_meanwhile_is_not_sent(
        self, link: Link, settings: Settings
    ) -> None:
        lifecycle.announce_two_way(link)
        settings.RECIPROCAL_OAUTH = settings.RECIPROCAL_OAUTH | {"MAIL_EVENTS": ["ended"]}

        assert sent() == []

    def test_a_mail_server_that_fails_is_tried_again_and_stops_nothing(
        self, link: Link, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise smtplib.SMTPServerDisconnected("gone")

        lifecycle.announce_two_way(link)
        with monkeypatch.context() as patched:
            patched.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fail)
            assert sent() == []
        assert "it is tried again" in caplog.text

        with time_machine.travel(timezone.now() + timedelta(minutes=6), tick=False):
            assert len(sent()) == 1

    def test_after_a_mail_that_fails_the_others_wait_for_the_next_look(
        self, link: Link, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        tried = []

        def fail(*args: Any, **kwargs: Any) -> None:
            tried.append(1)
            raise TimeoutError("timed out")

        for occasion in range(3):
            Notice.objects.create(
                link=link, kind="connected", occasion=str(occasion), due_at=timezone.now()
            )
        monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fail)

        worker.drain()

        assert len(tried) == 1
        worker.drain()
        assert len(tried) == 2

    @pytest.mark.parametrize(("of_the_site", "limit"), [(None, 30), (5, 5)])
    def test_a_mail_server_that_says_nothing_is_not_waited_for_for_ever(
        self,
        link: Link,
        settings: Settings,
        monkeypatch: pytest.MonkeyPatch,
        of_the_site: int | None,
        limit: int,
    ) -> None:
        limits = []

        def open_(connection: Any) -> None:
            limits.append(connection.timeout)
            raise TimeoutError("timed out")

        settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
        settings.EMAIL_TIMEOUT = of_the_site
        monkeypatch.setattr("django.core.mail.backends.smtp.EmailBackend.open", open_)
        lifecycle.announce_two_way(link)

        worker.drain()

        assert limits == [limit]

    def test_a_mail_that_is_repeated_has_the_same_message_id(self, link: Link) -> None:
        lifecycle.announce_two_way(link)
        (first,) = sent()
        Notice.objects.update(due_at=timezone.now(), sent_at=None)  # As if the worker was killed.

        again = sent()[-1]

        assert first.extra_headers["Message-ID"] == again.extra_headers["Message-ID"]

    def test_a_mail_that_is_never_accepted_is_given_up(
        self, link: Link, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def fail(*args: Any, **kwargs: Any) -> None:
            raise smtplib.SMTPServerDisconnected("gone")

        monkeypatch.setattr("django.core.mail.backends.locmem.EmailBackend.send_messages", fail)
        lifecycle.announce_two_way(link)
        for day in range(10):
            with time_machine.travel(timezone.now() + timedelta(days=2 * day), tick=False):
                worker.drain()

        notice = Notice.objects.get()
        assert (notice.attempts, notice.due_at, notice.sent_at) == (6, None, None)

    @pytest.mark.parametrize("values", [{"email": ""}, {"is_active": False}], ids=str)
    def test_nobody_to_write_to(self, link: Link, user: Any, values: dict[str, Any]) -> None:
        lifecycle.announce_two_way(link)
        type(user).objects.filter(pk=user.pk).update(**values)

        assert sent() == []
        assert chores.next_due_at() is None

    def test_a_name_with_a_line_break_adds_no_header(self, link: Link) -> None:
        type(link.peer).objects.update(name="Music\r\nBcc: everybody@people.example")
        lifecycle.announce_two_way(link)

        (message,) = sent()
        assert "\n" not in message.subject
        assert message.message()["Bcc"] is None

    def test_tokens_never_appear_in_it(self, link: Link) -> None:
        secrets = [link.access_token.reveal(), link.refresh_token.reveal()]
        lifecycle.announce_two_way(link)

        (message,) = sent()
        assert [secret for secret in secrets if secret in message.message().as_string()] == []
