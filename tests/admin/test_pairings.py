"""Administrators pair this site with another one: they invite, accept, confirm and withdraw."""

import html
import re
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.contrib.admin.models import LogEntry
from django.contrib.sessions.models import Session
from django.test import Client
from django.utils import timezone
from oauth2_provider.models import get_application_model
from pytest_django import Settings

from reciprocal_oauth.core.hashing import hash_of
from reciprocal_oauth.models import Link, Pairing, Peer
from reciprocal_oauth.pairing import inviting

from ..fakes import Reply
from ..pairing.conftest import issuer  # noqa: F401
from ..pairing.other_site import OUR_ISSUER, OtherSite, code_in, register, terms
from .conftest import admin_url, text_of
from .peer_pages import messages_of

# The requests to the other site must not run in a transaction.
pytestmark = pytest.mark.django_db(transaction=True)

APPLICATION = get_application_model()._meta.model_name
MAY_PAIR = ("add_peer", f"add_{APPLICATION}")
MAY_RENEW = ("change_peer", f"change_{APPLICATION}")
INVITE = {"for_whom": "site", "_make": "1", "lifetime": "86400", "slug": "other"}
State = Pairing.State


@pytest.fixture
def other() -> Iterator[OtherSite]:
    site = OtherSite()
    site.metadata["reciprocal_scope_descriptions"] = {"play": "Play <b>music</b>"}
    yield site
    site.stop()


@pytest.fixture
def accepted(db: None, other: OtherSite) -> Pairing:
    """A site has used an invitation that was for whoever has it."""
    pairing, text = inviting.invite(terms(asked_scope=""))
    assert register(code_in(text), other.registration()).status_code == 201
    other.requests.clear()
    pairing.refresh_from_db()
    return pairing


def page_of(name: str, *args: Any) -> str:
    return admin_url(Pairing, name, *args)


def invite(client: Client, other: OtherSite, /, **changes: Any) -> Any:
    sent = {**INVITE, "address": other.issuer, **changes}
    return client.post(page_of("invite"), sent)


def invitation_in(response: Any) -> str:
    found = re.search(r"<textarea[^>]*>([^<]+)</textarea>", response.content.decode())
    return html.unescape(found[1]).strip() if found else ""


def look_up(client: Client, text: str, **more: Any) -> Any:
    return client.post(page_of("accept"), {"invitation": text, **more})


def pair(client: Client, looked_up: Any, /, **changes: Any) -> Any:
    form = looked_up.context["form"]
    sealed = form["sealed"].value()
    return client.post(
        page_of("accept"), {"sealed": sealed, "slug": "other", "_pair": "1", **changes}
    )


def errors(response: Any) -> dict[str, list[str]]:
    assert response.status_code == 200
    found: dict[str, list[str]] = response.context["form"].errors
    return found


# Inviting


def test_the_list_of_peers_and_of_pairings_lead_to_both_ways_to_pair(admin: Client) -> None:
    for page in (admin_url(Peer, "changelist"), page_of("changelist")):
        text = text_of(admin.get(page))
        assert f'href="{page_of("invite")}"' in text
        assert f'href="{page_of("accept")}"' in text


def test_an_invitation_for_one_site_is_looked_up_and_shown_once(
    admin: Client, other: OtherSite
) -> None:
    first = admin.post(page_of("invite"), {"for_whom": "site", "address": other.issuer})

    text = text_of(first)
    host = other.url.removeprefix("http://")
    assert f'<bdi dir="ltr">{host}</bdi>' in text
    assert f'<code dir="ltr">{other.issuer}</code>' in text
    assert "checked" not in text  # No scope is ticked beforehand.
    assert "“Play &lt;b&gt;music&lt;/b&gt;” (play)" in text

    made = invite(admin, other, asked_scope=["play"], allowed_scope=["playback", "history"])

    invitation = invitation_in(made)
    assert invitation.startswith("https://testserver/connections/pair/#v=1&iss=")
    assert "no-store" in made["Cache-Control"]
    pairing = Pairing.objects.get()
    assert (pairing.state, pairing.expected_issuer) == (State.OPEN, other.issuer)
    assert (pairing.allowed_scope, pairing.asked_scope) == ("playback history", "play")
    assert pairing.code_hash == hash_of(invitation.rpartition("code=")[2])
    assert not pairing.enable
    shown = text_of(admin.get(page_of("change", pairing.pk)))
    assert invitation.rpartition("code=")[2] not in shown


def test_an_invitation_for_whoever_has_it_asks_for_no_address(
    admin: Client, other: OtherSite
) -> None:
    first = admin.post(page_of("invite"), {"for_whom": "anyone"})
    assert "asked_scope" not in first.context["form"].fields

    made = admin.post(page_of("invite"), {**INVITE, "for_whom": "anyone", "lifetime": "3600"})

    assert invitation_in(made)
    pairing = Pairing.objects.get()
    assert pairing.expected_issuer == ""
    assert pairing.expires_at - timezone.now() <= timedelta(hours=1)
    assert not other.requests


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        pytest.param({"address": ""}, "address", "Enter the address", id="no address"),
        pytest.param({"address": OUR_ISSUER}, "address", "testserver", id="this site"),
        pytest.param({"address": "http://10.0.0.1/o"}, "address", "", id="private"),
        pytest.param({"slug": ""}, "slug", "required", id="no short name"),
        pytest.param({"slug": "handover"}, "slug", "Choose another", id="reserved"),
        pytest.param({"slug": "a" * 51}, "slug", "at most 50", id="long short name"),
        pytest.param({"slug": "a b"}, "slug", "valid", id="not a short name"),
        pytest.param({"allowed_scope": ["admin"]}, "allowed_scope", "admin", id="scope"),
        pytest.param({"lifetime": "9999999"}, "lifetime", "", id="lifetime"),
    ],
)
def test_what_is_wrong_stands_beside_its_field_and_what_was_typed_stays(
    admin: Client, other: OtherSite, changes: dict[str, Any], field: str, words: str
) -> None:
    response = invite(admin, other, **{"our_name": "Our site", **changes})

    assert words in " ".join(errors(response)[field])
    assert not Pairing.objects.exists()
    assert changes.get("address") is not None or "Our site" in text_of(response)


def test_a_site_that_cannot_pair_is_led_to_the_other_form(admin: Client, other: OtherSite) -> None:
    del other.metadata["reciprocal_registration_endpoint"]

    response = invite(admin, other)

    assert "cannot pair" in errors(response)["address"][0]
    assert f'href="{admin_url(Peer, "add")}?dialect=ietf"' in text_of(response)


def test_a_short_name_of_a_peer_is_refused_beside_the_field(
    admin: Client, other: OtherSite, peer: Peer
) -> None:
    response = invite(admin, other, slug=peer.slug)

    assert "Choose another name, or renew" in errors(response)["slug"][0]


def test_a_site_without_an_issuer_says_what_is_missing(admin: Client, settings: Settings) -> None:
    settings.OAUTH2_PROVIDER = {**settings.OAUTH2_PROVIDER, "OIDC_ISS_ENDPOINT": ""}

    for page in ("invite", "accept"):
        assert "OIDC_ISS_ENDPOINT" in messages_of(admin.get(page_of(page)))[0]


# Accepting


def test_the_page_shows_whom_the_invitation_is_from_before_anything_secret_is_sent(
    admin: Client, other: OtherSite
) -> None:
    invitation = other.invitation()

    response = look_up(admin, invitation)

    text = text_of(response)
    host = other.url.removeprefix("http://")
    assert f'<bdi dir="ltr">{host}</bdi>' in text
    assert f"Pair with {host}</button>" in text
    assert "“Play &lt;b&gt;music&lt;/b&gt;” (play)" in text
    assert "See what you have listened to (history)" in text
    assert "checked" not in text
    code = invitation.rpartition("code=")[2]
    assert code not in text
    assert "no-store" in response["Cache-Control"]
    assert not any(code in str(vars(request)) for request in other.requests)
    assert not Pairing.objects.exists()


def test_the_site_registers_there_in_the_same_request(admin: Client, other: OtherSite) -> None:
    looked_up = look_up(admin, other.invitation())

    response = pair(admin, looked_up, asked_scope=["play"], allowed_scope=["history"])

    pairing = Pairing.objects.get()
    assert response["Location"] == page_of("change", pairing.pk)
    assert (pairing.state, pairing.role) == (State.REGISTERED, Pairing.Role.ACCEPTER)
    assert (pairing.asked_scope, pairing.allowed_scope) == ("play", "history")
    text = text_of(admin.get(page_of("change", pairing.pk)))
    assert "The other site must register here too." in text
    assert "live.js" in text
    assert "Check number" in text
    assert "<bdi>Other</bdi>" in text


@pytest.mark.threat("PA12")
def test_the_invitation_is_kept_nowhere(admin: Client, other: OtherSite) -> None:
    invitation = other.invitation()
    code = invitation.rpartition("code=")[2]

    pair(admin, look_up(admin, invitation))
    look_up(admin, f"https://x/{code}")

    assert code not in str([each.get_decoded() for each in Session.objects.all()])
    assert code not in str(list(LogEntry.objects.values()))
    assert [entry.get_change_message() for entry in LogEntry.objects.all()] == [
        "Accepted an invitation."
    ]


def test_what_is_no_invitation_is_refused_and_not_sent_back(
    admin: Client, other: OtherSite
) -> None:
    response = look_up(admin, "https://site.example/#canary-of-the-text")

    assert "This is not an invitation." in errors(response)["invitation"][0]
    assert "canary-of-the-text" not in text_of(response)
    assert not other.requests


def test_the_invitation_need_not_be_pasted_again_if_the_site_cannot_be_reached(
    admin: Client, other: OtherSite
) -> None:
    invitation, metadata = other.invitation(), dict(other.metadata)
    other.metadata.clear()
    response = look_up(admin, invitation)
    assert errors(response)["invitation"]
    assert invitation not in html.unescape(text_of(response))

    other.metadata.update(metadata)
    again = admin.post(page_of("accept"), {"sealed": response.context["sealed"], "invitation": ""})

    assert "Pair with" in text_of(again)


def test_what_was_pasted_expires_and_is_for_one_user(
    admin: Client, staff: Callable[..., Client], other: OtherSite
) -> None:
    looked_up = look_up(admin, other.invitation())

    assert "Paste it again." in errors(pair(staff(*MAY_PAIR), looked_up))["invitation"][0]
    with time_machine.travel(timezone.now() + timedelta(hours=1, seconds=1)):
        admin.login(username="root", password="root")
        assert "Paste it again." in errors(pair(admin, looked_up))["invitation"][0]
    assert not Pairing.objects.exists()


@pytest.mark.threat("PA9")
def test_a_changed_method_is_shown_again_before_anything_is_sent(
    admin: Client, other: OtherSite
) -> None:
    methods = other.metadata["token_endpoint_auth_methods_supported"]
    other.metadata["token_endpoint_auth_methods_supported"] = [*methods, "private_key_jwt"]
    looked_up = look_up(admin, other.invitation())
    other.metadata["token_endpoint_auth_methods_supported"] = methods

    response = pair(admin, looked_up)

    assert "has changed meanwhile" in errors(response)["__all__"][0]
    assert not Pairing.objects.exists()
    assert pair(admin, response).status_code == 302


@pytest.mark.parametrize("field", ["asked_scope", "allowed_scope"])
def test_a_scope_that_was_not_offered_is_refused(
    admin: Client, other: OtherSite, field: str
) -> None:
    response = pair(admin, look_up(admin, other.invitation()), **{field: ["everything"]})

    assert field in errors(response)
    assert not other.received


def test_more_scopes_than_can_be_stored_are_refused(admin: Client, other: OtherSite) -> None:
    names = [f"{number}{'x' * 99}" for number in range(10, 25)]
    other.metadata["scopes_supported"] = [*names, "not\x00valid", "two words"]
    looked_up = look_up(admin, other.invitation())
    offered = [name for name, _text in looked_up.context["form"].fields["asked_scope"].choices]
    assert offered == names

    response = pair(admin, looked_up, asked_scope=names)

    assert "at most 1000 characters" in errors(response)["asked_scope"][0]


def test_the_scopes_of_a_site_that_lists_none_are_typed(admin: Client, other: OtherSite) -> None:
    del other.metadata["scopes_supported"]
    looked_up = look_up(admin, other.invitation())

    assert "asked_scope" in errors(pair(admin, looked_up, asked_scope='p"lay'))
    pair(admin, looked_up, asked_scope="play  queue")

    assert Pairing.objects.get().asked_scope == "play queue"


def test_a_used_invitation_says_so(admin: Client, other: OtherSite) -> None:
    other.answers["/o/reciprocal/register/"] = Reply.json(401, error="invalid_token")

    response = pair(admin, look_up(admin, other.invitation()))

    text = text_of(admin.get(response["Location"]))
    assert "The invitation is not, or no longer, good. Ask for a new one." in text
    assert Pairing.objects.get().state == State.FAILED


# Renewing


def test_a_peer_with_the_same_issuer_is_renewed_in_place_of_a_new_one(
    admin: Client, other: OtherSite, peer: Peer
) -> None:
    Peer.objects.update(issuer=other.issuer)

    looked_up = look_up(admin, other.invitation())
    assert "Renew Music: the connections of people stay" in text_of(looked_up)
    assert looked_up.context["form"]["peer"].value() == str(peer.pk)
    pair(admin, looked_up, peer=peer.pk, slug="")

    pairing = Pairing.objects.get()
    assert (pairing.slug, pairing.renews) == (peer.slug, True)


def test_the_page_of_a_peer_leads_to_its_renewal(
    admin: Client, other: OtherSite, peer: Peer
) -> None:
    page = page_of("renew", peer.pk)
    assert f'href="{page}"' in text_of(admin.get(admin_url(Peer, "change", peer.pk)))
    choice = text_of(admin.get(page))
    assert f'href="{page_of("invite")}?renew={peer.pk}&amp;address=' in choice
    assert f'href="{page_of("accept")}?renew={peer.pk}"' in choice

    # The peer was added by hand, and has no issuer.
    Peer.objects.update(issuer="")
    invite(admin, other, renew=peer.pk, peer=peer.pk)

    assert Pairing.objects.get().renews


# Confirming and withdrawing


@pytest.mark.threat("PA2")
def test_the_question_names_the_host_and_nothing_is_sent_before_the_answer(
    admin: Client, accepted: Pairing, other: OtherSite
) -> None:
    page = text_of(admin.get(page_of("change", accepted.pk)))
    host = other.url.removeprefix("http://")
    assert f"Check and confirm {host}" in page

    question = admin.get(page_of("confirm", accepted.pk))

    text = text_of(question)
    assert f"Yes, pair with {host}</button>" in text
    assert f'<bdi dir="ltr">{host}</bdi>' in text
    assert question.context["check_number"] in text
    assert not other.requests

    sent = {"shown": accepted.body_digest, "asked_scope": ["play"]}
    admin.post(page_of("confirm", accepted.pk), sent)

    accepted.refresh_from_db()
    assert (accepted.state, accepted.asked_scope) == (State.COMPLETE, "play")
    assert accepted.confirmed_by is not None
    assert Peer.objects.get().slug == "other"
    messages = [entry.get_change_message() for entry in LogEntry.objects.all()]
    assert messages == ["Confirmed."]


def test_only_what_the_page_has_shown_is_confirmed(admin: Client, accepted: Pairing) -> None:
    response = admin.post(page_of("confirm", accepted.pk), {"shown": "something else"})

    assert response.status_code == 200
    accepted.refresh_from_db()
    assert accepted.state == State.ACCEPTED


@pytest.mark.threat("PA8")
def test_what_a_site_calls_itself_is_escaped_and_stands_beside_its_host(
    admin: Client, other: OtherSite
) -> None:
    pairing, text = inviting.invite(terms())
    name = "Your \u202ebank\u202c <script>alert(1)</script>" + "x" * 300
    register(code_in(text), other.registration(client_name=name))

    for page in ("change", "confirm", "withdraw"):
        shown = text_of(admin.get(page_of(page, pairing.pk)))
        assert "<bdi>Your bank &lt;script&gt;" in shown
        assert "<script>alert" not in shown
        assert "\u202e" not in shown
        assert "x" * 201 not in shown
        assert other.url.removeprefix("http://") in shown


@pytest.mark.threat("PA8")
def test_a_host_in_other_letters_is_shown_in_ascii_first(admin: Client) -> None:
    of_other = "https://xn--mller-kva.example/o"
    pairing, _text = inviting.invite(terms())
    Pairing.objects.update(state=State.ACCEPTED, issuer=of_other, issued_client_id="x")

    shown = text_of(admin.get(page_of("confirm", pairing.pk)))

    assert '<bdi dir="ltr">xn--mller-kva.example</bdi>' in shown
    assert "(in its letters: <bdi>müller.example</bdi>)" in shown


@pytest.mark.threat("PA2")
def test_a_withdrawn_invitation_is_dead(admin: Client, other: OtherSite) -> None:
    pairing, text = inviting.invite(terms())
    question = text_of(admin.get(page_of("withdraw", pairing.pk)))
    assert "Withdraw this invitation?" in question

    response = admin.post(page_of("withdraw", pairing.pk), follow=True)

    assert messages_of(response) == ["The pairing was withdrawn."]
    assert register(code_in(text), other.registration()).status_code == 401
    assert LogEntry.objects.get().get_change_message() == "Withdrawn."
    again = admin.post(page_of("withdraw", pairing.pk), follow=True)
    assert "not under way" in messages_of(again)[0]


def test_it_is_tried_again_at_once(admin: Client, other: OtherSite) -> None:
    answer = other.answers["/o/reciprocal/register/"]
    other.answers["/o/reciprocal/register/"] = Reply(503)
    page = pair(admin, look_up(admin, other.invitation()))["Location"]
    assert "Try again now" in text_of(admin.get(page))
    assert "Last error:" in text_of(admin.get(page))

    other.answers["/o/reciprocal/register/"] = answer
    pairing = Pairing.objects.get()
    admin.post(page_of("retry", pairing.pk))

    pairing.refresh_from_db()
    assert pairing.state == State.REGISTERED
    assert "Try again now" not in text_of(admin.get(page))


def test_the_findings_of_the_test_and_the_peer_are_shown_at_the_end(
    admin: Client, accepted: Pairing
) -> None:
    admin.post(page_of("confirm", accepted.pk), {"shown": accepted.body_digest})
    assert "Test now" in text_of(admin.get(page_of("change", accepted.pk)))

    admin.post(page_of("retry", accepted.pk))

    text = text_of(admin.get(page_of("change", accepted.pk)))
    peer = Peer.objects.get()
    assert "The host name resolves" in text
    assert f'href="{admin_url(Peer, "change", peer.pk)}"' in text
    assert "Paired on" in text_of(admin.get(admin_url(Peer, "change", peer.pk)))


# What is complete


@pytest.fixture
def complete(admin: Client, accepted: Pairing) -> Pairing:
    admin.post(page_of("confirm", accepted.pk), {"shown": accepted.body_digest})
    accepted.refresh_from_db()
    assert accepted.state == State.COMPLETE
    LogEntry.objects.all().delete()
    return accepted


@pytest.mark.rfc("7592", "2.2")
def test_a_new_secret_is_stored_and_shown_nowhere(
    admin: Client, complete: Pairing, other: OtherSite
) -> None:
    page = page_of("rotate", complete.pk)
    assert f'action="{page}"' in text_of(admin.get(admin_url(Peer, "change", complete.peer_id)))
    other.answer["client_secret"] = "the-next-secret"

    response = admin.post(page, follow=True)

    assert messages_of(response) == ["This site has a new client secret there."]
    assert Peer.objects.get().client_secret.reveal() == "the-next-secret"
    assert "the-next-secret" not in response.content.decode()
    assert "the-next-secret" not in str(list(LogEntry.objects.values()))
    assert LogEntry.objects.count() == 2  # For the pairing, and for the peer.


def test_a_site_that_issues_no_new_secret_is_named(
    admin: Client, complete: Pairing, other: OtherSite
) -> None:
    response = admin.post(page_of("rotate", complete.pk), follow=True)

    assert "issued no new secret" in messages_of(response)[0]


def test_nothing_is_rotated_where_keys_are_used(admin: Client, complete: Pairing) -> None:
    Pairing.objects.update(auth_method="private_key_jwt")

    page = page_of("rotate", complete.pk)
    assert page not in text_of(admin.get(admin_url(Peer, "change", complete.peer_id)))
    assert page not in text_of(admin.get(page_of("change", complete.pk)))
    assert admin.post(page).status_code == 404


@pytest.mark.rfc("7592", "2.2")
def test_this_site_begins_to_use_its_key(
    admin: Client, complete: Pairing, other: OtherSite
) -> None:
    page = page_of("use_key", complete.pk)
    assert f'action="{page}"' in text_of(admin.get(page_of("change", complete.pk)))
    assert messages_of(admin.post(page, follow=True)) == [
        "The other site cannot check signatures of this site."
    ]
    other.metadata["token_endpoint_auth_methods_supported"].append("private_key_jwt")
    other.answer["token_endpoint_auth_method"] = "private_key_jwt"
    del other.answer["client_secret"]

    response = admin.post(page, follow=True)

    assert messages_of(response) == [
        "This site signs with its key there. Its client secret is not good any more."
    ]
    assert Peer.objects.get().signs_assertions
    assert f'action="{page}"' not in text_of(response)
    assert admin.post(page).status_code == 404


def test_nothing_has_to_be_given_to_a_paired_site(admin: Client, complete: Pairing) -> None:
    sheet = admin_url(Peer, "sheet", complete.peer_id)
    assert "Nothing has to be given to the other site" in text_of(admin.get(sheet))

    Pairing.objects.update(role=Pairing.Role.REGISTRANT)

    assert "needs these values to register this site" in text_of(admin.get(sheet))


@pytest.mark.rfc("7592", "2.3")
def test_the_end_is_asked_for_and_says_how_many_links_end(
    admin: Client, complete: Pairing, other: OtherSite, user: Any
) -> None:
    peer = Peer.objects.get()
    Link.objects.create(user=user, peer=peer, account_key="x")
    page = page_of("end", complete.pk)
    assert f'href="{page}"' in text_of(admin.get(admin_url(Peer, "change", peer.pk)))

    question = text_of(admin.get(page))
    assert "1 active connection ends at once" in question
    assert Link.objects.get().is_active
    other.answers["/o/reciprocal/register/us-there/"] = Reply(204)

    response = admin.post(page, follow=True)

    assert messages_of(response) == ["The pairing has ended."]
    assert not Link.objects.get().is_active
    assert not Peer.objects.get().enabled
    assert Pairing.objects.get().state == State.ENDED
    assert admin.get(page).status_code == 404


def test_who_may_only_pair_ends_nothing(staff: Callable[..., Client], complete: Pairing) -> None:
    client = staff(*MAY_PAIR, "view_peer")

    for name in ("rotate", "use_key", "end"):
        assert client.post(page_of(name, complete.pk)).status_code == 403
        assert page_of(name, complete.pk) not in text_of(
            client.get(admin_url(Peer, "change", complete.peer_id))
        )


# Who may do it


@pytest.mark.parametrize("missing", MAY_PAIR)
def test_without_both_permissions_nobody_pairs(
    staff: Callable[..., Client], accepted: Pairing, other: OtherSite, missing: str
) -> None:
    client = staff("view_pairing", "view_peer", *(set(MAY_PAIR) - {missing}))

    assert client.get(page_of("change", accepted.pk)).status_code == 200
    assert "Withdraw" not in text_of(client.get(page_of("change", accepted.pk)))
    for name in ("invite", "accept"):
        assert client.get(page_of(name)).status_code == 403
        assert client.post(page_of(name), {"invitation": other.invitation()}).status_code == 403
        assert page_of(name) not in text_of(client.get(admin_url(Peer, "changelist")))
    for name in ("confirm", "retry", "withdraw"):
        assert client.post(page_of(name, accepted.pk)).status_code == 403
    assert not other.requests


def test_who_may_pair_sees_pairings(staff: Callable[..., Client], accepted: Pairing) -> None:
    client = staff(*MAY_PAIR)

    assert client.get(page_of("changelist")).status_code == 200
    assert "Withdraw" in text_of(client.get(page_of("change", accepted.pk)))


def test_a_renewal_needs_the_permission_to_change_both(
    staff: Callable[..., Client], peer: Peer, other: OtherSite
) -> None:
    Peer.objects.update(issuer=other.issuer)
    client = staff(*MAY_PAIR, "change_peer")

    assert client.get(page_of("renew", peer.pk)).status_code == 403
    looked_up = look_up(client, other.invitation())
    assert "Renew" not in text_of(looked_up)
    response = pair(client, looked_up, peer=peer.pk, slug=peer.slug)
    assert "slug" in errors(response)


def test_nobody_without_a_permission_sees_pairings(
    staff: Callable[..., Client], accepted: Pairing
) -> None:
    client = staff()

    for url in (page_of("changelist"), page_of("change", accepted.pk)):
        assert client.get(url).status_code == 403


@pytest.mark.parametrize("name", ["add", "delete"])
def test_nobody_adds_edits_or_deletes_a_row(admin: Client, accepted: Pairing, name: str) -> None:
    args = () if name == "add" else (accepted.pk,)
    assert admin.post(page_of(name, *args)).status_code == 403
    assert admin.post(page_of("change", accepted.pk)).status_code == 405


def test_the_list_is_searched_by_the_address_of_the_other_site(
    admin: Client, accepted: Pairing, other: OtherSite
) -> None:
    assert "1 pairing" in text_of(admin.get(page_of("changelist"), {"q": other.issuer}))
    assert "0 pairings" in text_of(admin.get(page_of("changelist"), {"q": "elsewhere"}))


@pytest.mark.parametrize("field", ["code_hash", "reverse_token_hash", "body_digest", "answer"])
def test_no_filter_finds_rows_by_a_secret(admin: Client, accepted: Pairing, field: str) -> None:
    response = admin.get(page_of("changelist"), {f"{field}__startswith": "a"})

    assert response.status_code == 400
