"""Peers in the admin: the form, its reasons, the list, what to give to the other site."""

import html
import re
import sys
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_permission_codename
from django.contrib.auth.hashers import check_password
from django.test import Client, override_settings
from django.utils import timezone
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.models.links import KEY_UNKNOWN
from tests.conftest import OUR_SECRET, PEER_SECRET

from .conftest import admin_url, text_of
from .peer_pages import errors, filled_in, messages_of, values_of


@pytest.fixture
def application(db: None) -> Any:
    return get_application_model().objects.create(
        name="Television",
        client_id="tv-here",
        client_secret=PEER_SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://tv.example/callback/",
    )


def all_log_entries() -> str:
    return str(list(LogEntry.objects.values()))


# Adding


def test_adding(admin: Client, application: Any) -> None:
    response = admin.post(admin_url(Peer, "add"), filled_in(application))

    assert response.status_code == 302
    peer = Peer.objects.get()
    assert peer.slug == "tv"
    assert peer.enabled
    assert peer.application == application
    assert peer.client_secret.reveal() == "canary-client-secret"
    assert LogEntry.objects.count() == 1
    assert "canary" not in all_log_entries()


SIGNED = {
    "token_endpoint_auth_method": "private_key_jwt",
    "client_secret": "",
    "issuer": "https://tv.example",
}


@pytest.mark.rfc("7523", "2.2")
def test_a_peer_for_which_this_site_signs_is_added_without_a_secret(
    admin: Client, application: Any
) -> None:
    response = admin.post(admin_url(Peer, "add"), filled_in(application, **SIGNED))

    assert response.status_code == 302
    assert Peer.objects.get().signs_assertions


@pytest.mark.rfc("7523", "3")
def test_this_site_signs_for_no_peer_without_an_issuer(admin: Client, application: Any) -> None:
    sent = filled_in(application, **{**SIGNED, "issuer": ""})

    response = admin.post(admin_url(Peer, "add"), sent)

    assert list(errors(response)) == ["issuer"]


@override_settings(ROOT_URLCONF="tests.admin.urls_of_admin_only")
def test_a_site_that_publishes_no_keys_is_warned(admin: Client, application: Any) -> None:
    response = admin.post(admin_url(Peer, "add"), filled_in(application, **SIGNED), follow=True)

    assert any("cannot read the public keys" in message for message in messages_of(response))


@pytest.mark.parametrize(("scope", "warns"), [("", True), ("play", False)])
def test_a_peer_without_any_scope_is_saved_with_a_warning(
    admin: Client, application: Any, scope: str, warns: bool
) -> None:
    sent = filled_in(application, allowed_scope="", scope=scope)

    response = admin.post(admin_url(Peer, "add"), sent, follow=True)

    assert Peer.objects.exists()
    assert any("No scope is set" in message for message in messages_of(response)) is warns


def test_the_form_says_what_to_do_first(admin: Client) -> None:
    text = text_of(admin.get(admin_url(Peer, "add"), {"dialect": "ietf", "by": "hand"}))

    assert "http://testserver/connections/SHORT-NAME/callback/" in text


def test_the_form_without_our_pages(admin: Client, settings: Any) -> None:
    settings.ROOT_URLCONF = "tests.admin.urls_of_admin_only"

    assert admin.get("/admin/reciprocal_oauth/peer/add/?dialect=ietf").status_code == 200


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"slug": "not a slug"}, "slug"),
        ({"slug": "music"}, "slug"),
        ({"name": ""}, "name"),
        ({"dialect": "klingon"}, "dialect"),
        ({"homepage": "nowhere"}, "homepage"),
        ({"issuer": "http://tv.example"}, "issuer"),
        ({"token_endpoint": "http://tv.example/token"}, "token_endpoint"),
        ({"authorization_endpoint": "https://tv.example/#x"}, "authorization_endpoint"),
        ({"reciprocal_endpoint": "https://u:p@tv.example/"}, "reciprocal_endpoint"),
        ({"client_secret": ""}, "client_secret"),
        ({"allowed_scope": "everything"}, "allowed_scope"),
        ({"preconfigured_scope": "history"}, "preconfigured_scope"),
        ({"reciprocal_scope": "openid"}, "reciprocal_scope"),
        ({"application": ""}, "redirect_uris"),
        ({"application": "999"}, "application"),
    ],
)
def test_the_reason_stands_beside_the_field(
    admin: Client, application: Any, peer: Peer, changes: dict[str, str], field: str
) -> None:
    response = admin.post(admin_url(Peer, "add"), filled_in(application, **changes))

    assert list(errors(response)) == [field]
    text_of(response)
    assert Peer.objects.count() == 1


@pytest.mark.threat("W50")
def test_the_dialects_to_choose_from_are_those_of_the_settings(
    admin: Client, peer: Peer, settings: Any
) -> None:
    own = "reciprocal_oauth.dialects.ietf.IETFDialect"
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "DIALECTS": {"own": own}}

    page = admin.get(admin_url(Peer, "change", peer.pk))

    choices = page.context["adminform"].form.fields["dialect"].choices
    offered = {
        ("ietf", "This app, or the draft (ietf)"),
        ("smartthings", "SmartThings (smartthings)"),
    }
    assert {*offered, ("own", "own")} <= set(choices)


@pytest.mark.threat("W50")
def test_no_module_is_imported_because_somebody_types_its_name(
    staff: Callable[..., Client], peer: Peer, tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "uploaded_module.py").write_text("class Nothing: pass")
    monkeypatch.syspath_prepend(str(tmp_path))
    sent = values_of(peer, dialect="uploaded_module.Nothing")

    response = staff("view_peer", "change_peer").post(admin_url(Peer, "change", peer.pk), sent)

    assert list(errors(response)) == ["dialect"]
    assert "uploaded_module" not in sys.modules


@pytest.mark.threat("W50")
def test_a_dialect_that_the_settings_no_longer_know_is_shown_and_has_to_be_replaced(
    admin: Client, peer: Peer
) -> None:
    Peer.objects.update(dialect="gone")
    peer.refresh_from_db()

    page = text_of(admin.get(admin_url(Peer, "change", peer.pk)))
    response = admin.post(admin_url(Peer, "change", peer.pk), values_of(peer, client_secret=""))

    assert '<option value="gone" selected>' in page
    assert "There is no dialect “gone”. Known: " in errors(response)["dialect"][0]


def test_the_secret_is_marked_as_required_until_one_is_stored(admin: Client, peer: Peer) -> None:
    mark = '<label class="required" for="id_client_secret">'

    assert mark in text_of(admin.get(admin_url(Peer, "add"), {"dialect": "ietf", "by": "hand"}))
    assert mark not in text_of(admin.get(admin_url(Peer, "change", peer.pk)))


def test_a_missing_secret_has_one_reason(admin: Client, application: Any) -> None:
    response = admin.post(admin_url(Peer, "add"), filled_in(application, client_secret=""))

    assert errors(response) == {
        "client_secret": ["Enter the client secret that the peer gave to this site."]
    }


def test_a_secret_is_not_sent_back(admin: Client, application: Any) -> None:
    response = admin.post(admin_url(Peer, "add"), filled_in(application, name=""))

    text = text_of(response)
    assert "kept in this page for one hour" in text
    assert re.search(r'<input type="password" name="client_secret" (?![^>]*value)', text)


def test_an_unsuitable_application(admin: Client, application: Any) -> None:
    application.client_type = "public"
    application.save()

    response = admin.post(admin_url(Peer, "add"), filled_in(application))

    assert "confidential" in errors(response)["application"][0]


def test_only_free_applications_are_offered(admin: Client, application: Any, peer: Peer) -> None:
    add = text_of(admin.get(admin_url(Peer, "add"), {"dialect": "ietf", "by": "hand"}))
    change = text_of(admin.get(admin_url(Peer, "change", peer.pk)))

    assert "Television (tv-here)" in add
    assert "music (music-here)" not in add
    assert "Television (tv-here)" in change
    assert "music (music-here)" in change
    response = admin.post(admin_url(Peer, "add"), filled_in(peer.application))
    assert list(errors(response)) == ["application"]


@pytest.mark.threat("W52")
def test_nobody_takes_over_a_client_without_the_permission_to_change_it(
    staff: Callable[..., Client], application: Any
) -> None:
    browser = staff("add_peer")

    page = text_of(browser.get(admin_url(Peer, "add"), {"dialect": "ietf", "by": "hand"}))
    response = browser.post(admin_url(Peer, "add"), filled_in(application))

    assert "tv-here" not in page
    assert "you need the permission to change applications" in page
    assert list(errors(response)) == ["application"]
    assert not Peer.objects.exists()


@pytest.mark.threat("W52")
def test_whoever_may_change_applications_chooses_one(
    staff: Callable[..., Client], application: Any
) -> None:
    change = get_permission_codename("change", application._meta)
    response = staff("add_peer", change).post(admin_url(Peer, "add"), filled_in(application))

    assert response.status_code == 302
    assert Peer.objects.exists()


@pytest.mark.threat("W52")
def test_a_peer_keeps_its_application_without_that_permission(
    staff: Callable[..., Client], application: Any, peer: Peer
) -> None:
    browser, page = staff("view_peer", "change_peer"), admin_url(Peer, "change", peer.pk)

    other = browser.post(page, values_of(peer, application=application.pk))
    same = browser.post(page, values_of(peer, scope="listen"))

    assert list(errors(other)) == ["application"]
    assert same.status_code == 302


@pytest.mark.threat("W52", "J7")
@pytest.mark.parametrize("may_change_applications", [True, False])
def test_who_may_change_applications_says_how_the_peer_authenticates_here(
    staff: Callable[..., Client],
    peer: Peer,
    application: Any,
    settings: Any,
    may_change_applications: bool,
) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ISS_ENDPOINT": "https://s.example",
    }
    keys = peer.issuer.removesuffix("/o") + "/jwks.json"
    permissions = ["view_peer", "change_peer"]
    if may_change_applications:
        permissions.append(get_permission_codename("change", application._meta))

    staff(*permissions).post(
        admin_url(Peer, "change", peer.pk),
        values_of(peer, authenticates_here_by="private_key_jwt", jwks_uri=keys),
    )

    assert Peer.objects.get().uses_key_here is may_change_applications


@pytest.mark.threat("W52")
def test_a_client_that_people_have_let_in_is_taken_over_after_a_question_only(
    admin: Client, application: Any, user: Any, other_user: Any, make_token: Any
) -> None:
    for person in (user, user, other_user):
        make_token(application, person)
    sent = filled_in(application)

    asked = admin.post(admin_url(Peer, "add"), sent)

    assert list(errors(asked)) == ["__all__"]
    assert "Television already has access to the accounts of 2 people here." in text_of(asked)
    assert not Peer.objects.exists()
    sure = {"sure": asked.context["adminform"].form.mark}
    assert admin.post(admin_url(Peer, "add"), {**sent, **sure}).status_code == 302
    assert Peer.objects.exists()


def test_two_applications_of_one_name_are_told_apart(admin: Client, application: Any) -> None:
    get_application_model().objects.create(name="", client_id="nameless")

    assert "– (nameless)" in text_of(
        admin.get(admin_url(Peer, "add"), {"dialect": "ietf", "by": "hand"})
    )


# Editing


def test_a_blank_secret_keeps_the_stored_one(admin: Client, peer: Peer) -> None:
    response = admin.post(
        admin_url(Peer, "change", peer.pk), values_of(peer, client_secret="", scope="listen")
    )

    assert response.status_code == 302
    peer.refresh_from_db()
    assert peer.scope == "listen"
    assert peer.client_secret.reveal() == OUR_SECRET
    assert "ecret" not in LogEntry.objects.get().change_message


def test_nothing_has_changed(admin: Client, peer: Peer) -> None:
    admin.post(admin_url(Peer, "change", peer.pk), values_of(peer, client_secret=""))

    assert LogEntry.objects.get().get_change_message() == "No fields changed."


def test_a_new_secret(admin: Client, peer: Peer) -> None:
    new = "canary-client-secret"
    admin.post(admin_url(Peer, "change", peer.pk), values_of(peer, client_secret=new))

    peer.refresh_from_db()
    assert peer.client_secret.reveal() == new
    assert LogEntry.objects.get().get_change_message() == (
        "Changed Client secret of this site at the peer."
    )
    assert new not in all_log_entries()
    assert "Client secret of this" in text_of(admin.get(admin_url(Peer, "history", peer.pk)))


@pytest.mark.rfc("6749", "2.3.1")
@pytest.mark.parametrize("secret", ["canary/secret+=", "canary-client-secret"])
def test_a_secret_that_not_every_site_decodes_is_warned_about(
    admin: Client, peer: Peer, secret: str
) -> None:
    sent = values_of(peer, client_secret=secret)

    response = admin.post(admin_url(Peer, "change", peer.pk), sent, follow=True)

    warned = any("choose client_secret_post" in message for message in messages_of(response))
    assert warned is (secret == "canary/secret+=")
    assert secret not in text_of(response)


def test_the_page_says_whether_a_secret_is_stored(admin: Client, peer: Peer) -> None:
    stored = text_of(admin.get(admin_url(Peer, "change", peer.pk)))
    Peer.objects.update(client_secret="")

    assert "A secret is stored" in stored
    assert OUR_SECRET not in stored
    assert "A secret is stored" not in text_of(admin.get(admin_url(Peer, "change", peer.pk)))


def test_a_secret_that_no_key_reads(admin: Client, peer: Peer, settings: Any) -> None:
    before = settings.RECIPROCAL_OAUTH
    settings.RECIPROCAL_OAUTH = {**before, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    url = admin_url(Peer, "change", peer.pk)

    assert admin.get(url).status_code == 200
    assert admin.post(url, values_of(peer, client_secret="", scope="x")).status_code == 302

    settings.RECIPROCAL_OAUTH = before
    assert Peer.objects.get().client_secret.reveal() == OUR_SECRET


def test_the_short_name_can_be_corrected_while_nobody_has_linked(admin: Client, peer: Peer) -> None:
    page = admin_url(Peer, "change", peer.pk)

    response = admin.post(page, values_of(peer, slug="tunes"), follow=True)

    peer.refresh_from_db()
    assert peer.slug == "tunes"
    assert peer.client_secret.reveal() == OUR_SECRET
    said = " ".join(messages_of(response))
    assert "http://testserver/connections/tunes/callback/" in said
    assert "The peer must register it" in said


def test_the_short_name_stays_once_somebody_has_linked(
    admin: Client, peer: Peer, link_as_a: Link
) -> None:
    page = admin_url(Peer, "change", peer.pk)

    admin.post(page, values_of(peer, slug="other", name="Other"))

    peer.refresh_from_db()
    assert peer.slug == "music"
    assert peer.name == "Other"
    assert "cannot be changed, because people have connected" in text_of(admin.get(page))


def test_the_application_stays_while_there_are_links(
    admin: Client, peer: Peer, application: Any, link_as_a: Link
) -> None:
    url = admin_url(Peer, "change", peer.pk)
    admin.post(url, values_of(peer, application=application.pk))
    peer.refresh_from_db()
    assert peer.application != application

    Link.objects.update(status=Link.Status.ENDED)
    asked = admin.post(url, values_of(peer, application=application.pk))
    sure = {"sure": asked.context["adminform"].form.mark}
    admin.post(url, values_of(peer, application=application.pk, **sure))
    peer.refresh_from_db()
    assert peer.application == application


def test_markup_in_a_name(admin: Client, peer: Peer) -> None:
    Peer.objects.update(name="<script>alert(1)</script>")

    pages = [admin_url(Peer, page, peer.pk) for page in ("change", "sheet")]
    for url in (admin_url(Peer, "changelist"), *pages):
        assert "<script>alert(1)" not in text_of(admin.get(url))


# The list


def test_the_list(admin: Client, peer: Peer, link_as_a: Link) -> None:
    text = text_of(admin.get(admin_url(Peer, "changelist")))

    link = f"{admin_url(Link, 'changelist')}?peer__id__exact={peer.pk}&amp;status__exact=active"
    assert f'<a href="{link}">1</a>' in text
    assert admin.get(html.unescape(link)).status_code == 200


def test_no_query_per_peer(
    admin: Client, make_peer: Callable[..., Peer], user: Any, django_assert_max_num_queries: Any
) -> None:
    def queries() -> int:
        with django_assert_max_num_queries(20) as counted:
            admin.get(admin_url(Peer, "changelist"))
        return len(counted)

    make_peer("first")
    admin.get(admin_url(Peer, "changelist"))
    before = queries()
    for number in range(5):
        peer = make_peer(f"peer{number}")
        Link.objects.create(user=user, peer=peer, account_key=KEY_UNKNOWN)

    assert queries() == before


@pytest.mark.parametrize(("action", "on"), [("enable", True), ("disable", False)])
def test_switching(admin: Client, make_peer: Any, action: str, on: bool) -> None:
    peers = [make_peer("one", enabled=True), make_peer("two", enabled=False)]

    admin.post(
        admin_url(Peer, "changelist"),
        {"action": action, "_selected_action": [peer.pk for peer in peers], "sure": "yes"},
    )

    assert set(Peer.objects.values_list("enabled", flat=True)) == {on}
    assert LogEntry.objects.get().get_change_message() == "Changed enabled."
    assert LogEntry.objects.get().object_repr == ("Two" if on else "One")


def test_disabling_asks_first_and_counts_the_links_that_stop(
    admin: Client, peer: Peer, link_as_a: Link
) -> None:
    chosen = {"action": "disable", "_selected_action": [peer.pk]}

    text = text_of(admin.post(admin_url(Peer, "changelist"), chosen))

    assert "Disable this peer?" in text
    assert "1 active link stops working at once" in text
    peer.refresh_from_db()
    assert peer.enabled


@pytest.mark.threat("W7")
def test_switching_needs_the_permission_and_post(staff: Callable[..., Client], peer: Peer) -> None:
    client = staff("view_peer")
    chosen = {"action": "disable", "_selected_action": [peer.pk], "sure": "yes"}

    client.post(admin_url(Peer, "changelist"), chosen)
    client.get(admin_url(Peer, "changelist"), chosen)

    peer.refresh_from_db()
    assert peer.enabled
    assert client.post(admin_url(Peer, "change", peer.pk), values_of(peer)).status_code == 403


def test_somebody_who_may_only_look(staff: Callable[..., Client], peer: Peer) -> None:
    text = text_of(staff("view_peer").get(admin_url(Peer, "change", peer.pk)))

    assert OUR_SECRET not in text
    assert "***" in text


# Deleting


REASON = (
    "Music was not deleted, because it has active or ended links. Their history would be deleted "
    "too. Disable the peer instead."
)


@pytest.mark.parametrize("method", ["get", "post"])
def test_a_peer_with_links_is_not_deleted_and_the_reason_is_said(
    admin: Client, peer: Peer, link_as_a: Link, method: str
) -> None:
    page = admin_url(Peer, "change", peer.pk)
    delete = admin_url(Peer, "delete", peer.pk)
    assert f'href="{delete}"' in text_of(admin.get(page))

    response = getattr(admin, method)(delete, {"post": "yes"}, follow=True)

    assert response.redirect_chain == [(page, 302)]
    assert messages_of(response) == [REASON]
    assert Peer.objects.exists()


@pytest.mark.parametrize("sent", [{}, {"post": "yes"}])
def test_peers_with_links_are_not_deleted_from_the_list(
    admin: Client, peer: Peer, link_as_a: Link, make_peer: Callable[..., Peer], sent: dict[str, str]
) -> None:
    chosen = {"action": "delete_selected", "_selected_action": [peer.pk, make_peer("tv").pk]}

    response = admin.post(admin_url(Peer, "changelist"), {**chosen, **sent}, follow=True)

    assert messages_of(response) == [REASON]
    assert Peer.objects.count() == 2


def test_several_peers_with_links_are_named(
    admin: Client, peer: Peer, link_as_a: Link, make_peer: Callable[..., Peer], user: Any
) -> None:
    tv = make_peer("tv")
    Link.objects.create(user=user, peer=tv, account_key=KEY_UNKNOWN)
    Link.objects.create(user=user, peer=tv, account_key="another")
    chosen = {"action": "delete_selected", "_selected_action": [peer.pk, tv.pk]}

    response = admin.post(admin_url(Peer, "changelist"), chosen, follow=True)

    assert "have active or ended links: Music, Tv. The history" in messages_of(response)[0]


def test_deleting_needs_the_permission(
    staff: Callable[..., Client], peer: Peer, link_as_a: Link
) -> None:
    client = staff("view_peer", "change_peer")
    chosen = {"action": "delete_selected", "_selected_action": [peer.pk], "post": "yes"}

    client.post(admin_url(Peer, "changelist"), chosen)

    assert client.post(admin_url(Peer, "delete", peer.pk), {"post": "yes"}).status_code == 403
    assert Peer.objects.exists()


def test_a_peer_without_links_is(admin: Client, peer: Peer) -> None:
    admin.post(admin_url(Peer, "delete", peer.pk), {"post": "yes"})

    assert not Peer.objects.exists()


def test_several_peers_without_links_are(admin: Client, make_peer: Callable[..., Peer]) -> None:
    peers = [make_peer("one"), make_peer("two")]

    admin.post(
        admin_url(Peer, "changelist"),
        {
            "action": "delete_selected",
            "_selected_action": [peer.pk for peer in peers],
            "post": "yes",
        },
    )

    assert not Peer.objects.exists()


# What was typed stays


@pytest.mark.threat("W54")
def test_a_secret_need_not_be_entered_again_after_an_error(admin: Client, application: Any) -> None:
    sent = filled_in(application, name="")
    shown = admin.post(admin_url(Peer, "add"), sent)
    assert "canary-client-secret" not in text_of(shown)
    sealed = shown.context["adminform"].form["sealed_secret"].value()

    again = {**sent, "name": "Television", "client_secret": "", "sealed_secret": sealed}
    response = admin.post(admin_url(Peer, "add"), again)

    assert response.status_code == 302
    assert Peer.objects.get().client_secret.reveal() == "canary-client-secret"


@pytest.mark.threat("W54")
def test_a_secret_is_kept_for_its_user_and_for_one_hour_only(
    admin: Client, staff: Callable[..., Client], application: Any, time_machine: Any
) -> None:
    sent = filled_in(application, name="")
    shown = admin.post(admin_url(Peer, "add"), sent)
    sealed = shown.context["adminform"].form["sealed_secret"].value()
    again = {**sent, "name": "Television", "client_secret": "", "sealed_secret": sealed}
    other = staff("add_peer", get_permission_codename("change", application._meta))

    of_other = other.post(admin_url(Peer, "add"), again)
    time_machine.move_to(timezone.now() + timedelta(seconds=3601))
    too_late = admin.post(admin_url(Peer, "add"), again)

    for response in (of_other, too_late):
        assert errors(response)["client_secret"] == [
            "The secret that you entered was kept for one hour only. Enter it again."
        ]
    assert not Peer.objects.exists()


def test_the_first_field_with_an_error_has_the_focus_and_is_named_at_the_top(
    admin: Client, application: Any
) -> None:
    sent = filled_in(application, name="", token_endpoint="http://tv.example/")
    text = text_of(admin.post(admin_url(Peer, "add"), sent))

    focused = re.findall(r"<(?:input|textarea|select)[^>]* autofocus", text)
    assert len(focused) == 1
    assert 'name="name"' in focused[0]
    assert '<a href="#id_name">Name</a>: This field is required.' in text
    assert '<a href="#id_token_endpoint">Token endpoint</a>:' in text


# The application, made with the peer


def test_an_application_is_made_with_the_peer_and_its_secret_is_shown_once(
    admin: Client, application: Any
) -> None:
    uri = "https://tv.example/callback/"
    sent = filled_in(application, application="", redirect_uris=uri)

    response = admin.post(admin_url(Peer, "add"), sent)

    made = Peer.objects.get().application
    assert made.redirect_uris == uri
    shown = re.search(r"<textarea[^>]*>(.*?)</textarea>", response.content.decode())
    assert shown
    assert check_password(shown[1], made.client_secret)
    assert "no-store" in response["Cache-Control"]


@pytest.mark.threat("W52")
def test_an_application_is_made_only_with_the_permission_to_add_one(
    staff: Callable[..., Client], application: Any
) -> None:
    sent = filled_in(application, application="", redirect_uris="https://tv.example/callback/")

    response = staff("add_peer").post(admin_url(Peer, "add"), sent)

    assert list(errors(response)) == ["application"]
    assert get_application_model().objects.count() == 1


@pytest.mark.parametrize("uri", ["nowhere", "ftp://tv.example/"])
def test_a_redirect_uri_that_cannot_be(admin: Client, application: Any, uri: str) -> None:
    sent = filled_in(application, application="", redirect_uris=uri)

    assert list(errors(admin.post(admin_url(Peer, "add"), sent))) == ["redirect_uris"]


# Scopes


def test_scopes_are_chosen_in_words_and_those_without_a_checkbox_are_typed(
    admin: Client, application: Any
) -> None:
    sent = filled_in(
        application,
        allowed_scope=["profile", "playback"],
        peer_scopes='["play"]',
        scope=["play"],
        scope_others="  listen   play",
    )

    admin.post(admin_url(Peer, "add"), sent)

    peer = Peer.objects.get()
    assert peer.allowed_scope == "profile playback"
    assert peer.scope == "play listen"


def test_a_scope_that_this_site_no_longer_has_is_shown(admin: Client, peer: Peer) -> None:
    Peer.objects.update(allowed_scope="profile gone")

    text = text_of(admin.get(admin_url(Peer, "change", peer.pk)))

    assert "gone (no scope of this site)" in text
