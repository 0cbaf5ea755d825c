"""A peer of a vendor is added with a short form: only what the console of the vendor shows."""

import html
import re
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.admin.models import LogEntry
from django.contrib.auth.hashers import check_password
from django.test import Client
from oauth2_provider.models import get_application_model

from reciprocal_oauth.models import Peer
from tests.conftest import PEER_SECRET

from .conftest import admin_url, text_of
from .peer_pages import errors, messages_of

pytestmark = pytest.mark.usefixtures("made_up_vendors")

APPLICATION = get_application_model()._meta.model_name


def add(dialect: str = "tunes", **parameters: str) -> str:
    query = "&".join(f"{name}={value}" for name, value in parameters.items())
    return f"{admin_url(Peer, 'add')}?dialect={dialect}" + (f"&{query}" if query else "")


def typed(**changes: Any) -> dict[str, Any]:
    """What the browser sends; ``None`` leaves a field out."""
    values = {
        "name": "Jukebox",
        "slug": "jukebox",
        "answer_vendor_id": "V77",
        "client_id": "tunes.us",
        "client_secret": "canary-client-secret",
        "answer_stage": "test",
        "allowed_scope": ["profile", "playback"],
        "application": "",
        **changes,
    }
    return {name: value for name, value in values.items() if value is not None}


def secret_in(response: Any) -> str:
    found = re.search(r"<textarea[^>]*>(.*?)</textarea>", response.content.decode())
    return html.unescape(found[1]) if found else ""


@pytest.fixture
def application(db: None) -> Any:
    return get_application_model().objects.create(
        name="Tunes",
        client_id="tunes-here",
        client_secret=PEER_SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://own.example/callback/",
    )


# The choice


def test_adding_a_peer_begins_with_the_choice_of_the_vendor(admin: Client) -> None:
    text = html.unescape(text_of(admin.get(admin_url(Peer, "add"))))

    links = re.findall(r'<a href="(\?[^"]*)">(.*?)</a>', text)
    assert links == [
        ("?dialect=ietf", "Another site that uses this app or follows the draft"),
        ("?dialect=bell", "Bell"),
        ("?dialect=tunes", "Tunes & Co"),
    ] + [(f"?dialect={name}", f"A site with the dialect “{name}”") for name in other_dialects()]
    assert "Vendor ID, Messaging client ID, Messaging client secret, Stage" in text


def other_dialects() -> list[str]:
    from reciprocal_oauth.core.plugins import dialects

    return sorted(dialects().keys() - {"ietf", "tunes", "bell"})


def test_the_choice_keeps_the_filters_of_the_list(admin: Client) -> None:
    text = text_of(admin.get(admin_url(Peer, "add"), {"_changelist_filters": "enabled=1"}))

    assert 'href="?dialect=tunes&amp;_changelist_filters=enabled%3D1"' in text


def test_an_unknown_dialect_leads_to_the_choice(admin: Client) -> None:
    assert 'href="?dialect=tunes"' in text_of(admin.get(add("klingon")))


def test_another_dialect_is_chosen_in_the_full_form(admin: Client) -> None:
    page = admin.get(f"{add('ietf')}&by=hand")

    assert page.context["adminform"].form["dialect"].value() == "ietf"
    assert "token_endpoint" in page.context["adminform"].form.fields


@pytest.mark.threat("W7")
@pytest.mark.parametrize("page", [admin_url(Peer, "add"), add()])
def test_the_choice_and_the_form_need_the_permission(
    staff: Callable[..., Client], page: str
) -> None:
    client = staff("view_peer", "change_peer")

    assert client.get(page).status_code == 403
    assert client.post(page, typed()).status_code == 403
    assert not Peer.objects.exists()


# The form


def test_the_form_asks_only_for_what_the_console_shows(admin: Client) -> None:
    response = admin.get(add())

    form = response.context["adminform"].form
    assert set(form.fields) == {*typed()}
    assert form["name"].value() == "Tunes & Co"
    assert form["slug"].value() == "tunes"
    text = html.unescape(text_of(response))
    assert "<bdi>Vendor ID</bdi>" in text
    assert "Where the console shows it: Tunes console, Account." in text
    assert '<code dir="ltr">V123</code>' in text
    assert "0123abcd" not in text
    assert "Tunes & Co has no address at which this site can revoke a token." in text


def test_a_short_name_that_is_taken_is_not_suggested(
    admin: Client, make_peer: Callable[..., Peer]
) -> None:
    make_peer("tunes")

    assert admin.get(add()).context["adminform"].form["slug"].value() == "tunes-2"


def test_saving_makes_the_peer_and_its_application(admin: Client) -> None:
    response = admin.post(add(), typed())

    peer = Peer.objects.get()
    assert (peer.slug, peer.name, peer.dialect) == ("jukebox", "Jukebox", "tunes")
    assert peer.token_endpoint == "https://api.tunes.example/token"
    assert peer.token_endpoint_auth_method == "client_secret_post"
    assert peer.client_id == "tunes.us"
    assert peer.client_secret.reveal() == "canary-client-secret"
    assert peer.options == {"stage": "test", "skill": "V77"}
    assert peer.allowed_scope == "profile playback"
    assert peer.application.redirect_uris.split() == [
        "https://eu.tunes.example/link/V77",
        "https://us.tunes.example/link/V77",
    ]
    assert peer.application.name == "Jukebox"
    assert messages_of(response)[-1] == (
        "Jukebox was added. Now enter these values in the console of the vendor."
    )
    assert "http://testserver/connections/handover/jukebox/" in text_of(response)


@pytest.mark.threat("W5")
def test_the_secret_of_the_new_application_is_shown_once(admin: Client) -> None:
    response = admin.post(add(), typed())

    peer = Peer.objects.get()
    secret = secret_in(response)
    assert check_password(secret, peer.application.client_secret)
    assert "no-store" in response["Cache-Control"]
    assert secret not in text_of(admin.get(admin_url(Peer, "sheet", peer.pk)))
    entries = LogEntry.objects.all()
    assert {entry.content_type.model for entry in entries} == {"peer", APPLICATION}
    assert secret not in str(list(entries.values()))


def test_sending_the_form_again_makes_nothing_more(admin: Client) -> None:
    admin.post(add(), typed())

    response = admin.post(add(), typed())

    assert list(errors(response)) == ["slug"]
    assert secret_in(response) == ""
    assert get_application_model().objects.count() == 1


def test_a_vendor_without_questions(admin: Client) -> None:
    sent = {"name": "Bell", "slug": "bell", "application": "", "allowed_scope": ["profile"]}

    response = admin.post(add("bell"), sent)

    assert secret_in(response)
    assert Peer.objects.get().application.redirect_uris == "https://social.bell.example/redirect"


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"answer_vendor_id": ""}, "answer_vendor_id", "“Vendor ID” is missing."),
        ({"answer_vendor_id": "77"}, "answer_vendor_id", "has another form, such as V123."),
        ({"client_id": ""}, "client_id", "“Messaging client ID” is missing."),
        ({"client_id": "amazon.x"}, "client_id", "has another form"),
        ({"client_secret": ""}, "client_secret", "“Messaging client secret” is missing."),
        ({"client_secret": "canary"}, "client_secret", "has another form"),
        ({"answer_stage": "moon"}, "answer_stage", "has another form, such as live."),
        ({"slug": "not a slug"}, "slug", "valid"),
        ({"slug": "handover"}, "slug", "Choose another name"),
        ({"name": ""}, "name", "required"),
        ({"allowed_scope": ["everything"]}, "allowed_scope", "everything"),
        ({"application": "99"}, "application", "valid choice"),
    ],
)
def test_the_one_reason_stands_beside_the_field(
    admin: Client, changes: dict[str, Any], field: str, words: str
) -> None:
    response = admin.post(add(), typed(**changes))

    assert list(errors(response)) == [field]
    (reason,) = errors(response)[field]
    assert words in reason
    assert not Peer.objects.exists()
    assert get_application_model().objects.count() == 0


def test_nothing_that_was_typed_is_lost_except_the_secret(admin: Client) -> None:
    response = admin.post(add(), typed(answer_stage="moon"))

    form = response.context["adminform"].form
    kept = {name: form[name].value() for name in form.fields}
    assert kept == typed(answer_stage="moon")
    text = text_of(response)  # It has no canary.
    assert "Enter it again." in text
    assert re.search(r'<input type="checkbox"[^>]*value="profile"[^>]* checked', text)


def test_an_answer_left_blank_has_its_default(admin: Client) -> None:
    admin.post(add(), typed(answer_stage=""))

    assert Peer.objects.get().options["stage"] == "live"


def test_what_the_form_does_not_have_is_told_at_its_top(
    admin: Client, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "reciprocal_oauth.models.peer_validation.check_endpoint",
        lambda url, example: ["No such address."] if url else [],
    )

    response = admin.post(add(), typed())

    assert errors(response) == {"__all__": ["token endpoint: No such address."]}


def test_redirect_uris_that_an_application_cannot_have_are_told_beside_the_answer(
    admin: Client, settings: Any
) -> None:
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "ALLOWED_REDIRECT_URI_SCHEMES": ["app"],
    }

    assert list(errors(admin.post(add(), typed()))) == ["answer_vendor_id"]


@pytest.mark.parametrize("button", ["_look_up", "_enter"])
def test_the_buttons_of_the_other_form_do_nothing_here(admin: Client, button: str) -> None:
    admin.post(add(), {**typed(), button: "", "address": "https://x.example"})

    assert Peer.objects.get().slug == "jukebox"


# An application that exists already


def test_an_application_that_exists_gets_the_redirect_uris_too(
    admin: Client, application: Any
) -> None:
    response = admin.post(add(), typed(application=application.pk), follow=True)

    peer = Peer.objects.get()
    assert peer.application == application
    assert peer.application.redirect_uris.split() == [
        "https://own.example/callback/",
        "https://eu.tunes.example/link/V77",
        "https://us.tunes.example/link/V77",
    ]
    assert response.redirect_chain == [(admin_url(Peer, "sheet", peer.pk), 302)]
    assert check_password(PEER_SECRET, peer.application.client_secret)
    changes = {entry.get_change_message() for entry in LogEntry.objects.all()}
    assert "Changed redirect URIs." in changes


@pytest.mark.threat("W52")
def test_an_application_that_people_have_let_in_is_taken_after_a_question_only(
    admin: Client, application: Any, user: Any, make_token: Any
) -> None:
    make_token(application, user)
    sent = typed(application=application.pk)

    asked = admin.post(add(), sent)

    assert list(errors(asked)) == ["__all__"]
    assert "Tunes already has access to the account of 1 person here." in text_of(asked)
    application.refresh_from_db()
    assert application.redirect_uris == "https://own.example/callback/"
    sure = {"sure": asked.context["adminform"].form.mark}
    admin.post(add(), {**sent, **sure})
    assert Peer.objects.get().application == application


@pytest.mark.threat("W52")
@pytest.mark.parametrize(
    ("permissions", "creates", "takes"),
    [
        ((), False, False),
        ((f"add_{APPLICATION}",), True, False),
        ((f"change_{APPLICATION}",), False, True),
        ((f"add_{APPLICATION}", f"change_{APPLICATION}"), True, True),
    ],
)
def test_making_and_taking_an_application_need_their_permissions(
    staff: Callable[..., Client],
    application: Any,
    permissions: tuple[str, ...],
    creates: bool,
    takes: bool,
) -> None:
    client = staff("add_peer", *permissions)

    created = client.post(add(), typed())
    taken = client.post(add(), typed(slug="second", application=application.pk))

    assert bool(secret_in(created)) is creates
    assert Peer.objects.filter(slug="second").exists() is takes
    for response, is_saved in ((created, creates), (taken, takes)):
        assert is_saved or list(errors(response)) == ["application"]


@pytest.mark.threat("X3")
def test_a_fault_while_saving_shows_no_secret(
    admin: Client, monkeypatch: pytest.MonkeyPatch, reports: list[str]
) -> None:
    made = "made-up-" * 5

    def fail(*args: Any, **kwargs: Any) -> None:
        raise RuntimeError("on purpose")

    monkeypatch.setattr("oauth2_provider.generators.ClientSecretGenerator.hash", lambda self: made)
    monkeypatch.setattr("reciprocal_oauth.admin.peer_sheet.sheet_for", fail)
    admin.raise_request_exception = False

    response = admin.post(add(), typed())

    assert response.status_code == 500
    assert "on purpose" in reports[0]
    assert made not in reports[0]
    assert "canary-client-secret" not in reports[0]
    assert not Peer.objects.exists()


# The application first, because the console shows its values later


def first(client: Client, **changes: Any) -> Any:
    blank = {"client_id": None, "client_secret": "", "allowed_scope": ["profile"], **changes}
    return client.post(add(), {**typed(**blank), "_application_first": ""})


def test_the_application_can_be_made_before_the_console_shows_its_values(admin: Client) -> None:
    response = first(admin)

    application = get_application_model().objects.get()
    assert check_password(secret_in(response), application.client_secret)
    assert application.redirect_uris.split()[0] == "https://eu.tunes.example/link/V77"
    assert "no-store" in response["Cache-Control"]
    text = text_of(response)
    assert application.client_id in text
    assert "http://testserver/connections/handover/jukebox/" in text
    assert not Peer.objects.exists()
    assert {entry.content_type.model for entry in LogEntry.objects.all()} == {APPLICATION}


def test_the_form_continues_with_what_was_typed(admin: Client) -> None:
    response = first(admin)
    (query,) = re.findall(r'<a class="button" href="(\?[^"]*)"', response.content.decode())

    form = admin.get(admin_url(Peer, "add") + html.unescape(query)).context["adminform"].form

    kept = {name: form[name].value() for name in form.fields}
    pk = get_application_model().objects.get().pk
    left_blank = {"client_id": None, "client_secret": None}
    assert kept == {**typed(allowed_scope=["profile"], application=str(pk)), **left_blank}
    admin.post(add(), typed(application=pk))
    assert Peer.objects.get().application.pk == pk


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"slug": ""}, "slug"),
        ({"slug": "handover"}, "slug"),
        ({"answer_vendor_id": "77"}, "answer_vendor_id"),
    ],
)
def test_no_application_is_made_without_what_it_needs(
    admin: Client, changes: dict[str, str], field: str
) -> None:
    assert field in errors(first(admin, **changes))
    assert not get_application_model().objects.exists()


@pytest.mark.threat("W52")
@pytest.mark.parametrize(
    "permissions",
    [
        ("add_peer", f"add_{APPLICATION}"),
        ("add_peer", f"change_{APPLICATION}"),
        (f"add_{APPLICATION}", f"change_{APPLICATION}"),
    ],
)
def test_making_it_first_needs_all_permissions(
    staff: Callable[..., Client], permissions: tuple[str, ...]
) -> None:
    client = staff(*permissions)

    assert "_application_first" not in client.get(add()).content.decode()
    assert first(client).status_code == 403
    assert not get_application_model().objects.exists()


# The page of the peer


def test_everything_can_be_changed_on_the_page_of_the_peer(admin: Client) -> None:
    admin.post(add(), typed())

    page = admin.get(admin_url(Peer, "change", Peer.objects.get().pk))

    form = page.context["adminform"].form
    assert form["dialect"].value() == "tunes"
    assert form["dialect_options"].value() == "stage=test\nskill=V77"
    assert form["token_endpoint"].value() == "https://api.tunes.example/token"


def test_what_a_dialect_needs_is_marked_on_the_page(admin: Client) -> None:
    admin.post(add(), typed())

    text = text_of(admin.get(admin_url(Peer, "change", Peer.objects.get().pk)))

    assert '<label class="required" for="id_token_endpoint">' in text
    assert '<label for="id_authorization_endpoint">' in text
