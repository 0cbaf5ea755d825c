"""``reciprocal_peer``: adding, updating, showing and listing peers."""

import io
import json
import re
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.contrib.auth.hashers import check_password
from django.core.management import CommandError
from django.test import override_settings
from django.test.utils import isolate_apps
from django.utils import timezone
from jwcrypto import jwk
from oauth2_provider.models import AbstractApplication, get_application_model

from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.keys import key_set
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.models.links import KEY_UNKNOWN
from reciprocal_oauth.peers import application as peer_application
from tests.conftest import OUR_SECRET, PEER_SECRET
from tests.fakes import FakePeer, Reply

from .peer_command import CANARY, Terminal, refusal, run

CANARY_HERE = "canary-of-theirs"

#: What a new peer cannot do without.
NEEDED = {
    "--name": "Music service",
    "--authorization-endpoint": "https://music.example/o/authorize/",
    "--token-endpoint": "https://music.example/o/token/",
    "--client-id": "us-at-music",
    "--client-secret": CANARY,
    "--redirect-uri": "https://music.example/connections/us/callback/",
}


def flags(**changes: str | None) -> list[str]:
    """The needed flags, some replaced; ``None`` leaves one out."""
    named = {f"--{name.replace('_', '-')}": value for name, value in changes.items()}
    values = {**NEEDED, **named}
    return [text for flag, value in values.items() if value is not None for text in (flag, value)]


# Adding


@pytest.mark.django_db
def test_a_new_peer() -> None:
    run("add", "music", *flags())

    peer = Peer.objects.get(slug="music")
    assert peer.name == "Music service"
    assert peer.enabled
    assert peer.dialect == "ietf"
    assert peer.authorization_endpoint == "https://music.example/o/authorize/"
    assert peer.token_endpoint == "https://music.example/o/token/"
    assert peer.client_id == "us-at-music"
    assert peer.client_secret.reveal() == CANARY
    assert peer.token_endpoint_auth_method == "client_secret_basic"
    application = peer.application
    assert application.name == "Music service"
    assert application.client_type == "confidential"
    assert application.authorization_grant_type == "authorization-code"
    assert application.redirect_uris == "https://music.example/connections/us/callback/"
    assert application.algorithm == ""


@pytest.mark.django_db
def test_every_flag() -> None:
    run(
        "add",
        "music",
        *flags(
            homepage="https://music.example/",
            issuer="https://music.example/o",
            revocation_endpoint="https://music.example/o/revoke_token/",
            userinfo_endpoint="https://music.example/o/userinfo/",
            account_endpoint="https://music.example/api/me/",
            account_member="user.name",
            description="Plays music.",
            logo_uri="https://music.example/logo.png",
            policy_uri="https://music.example/privacy",
            tos_uri="https://music.example/terms",
            reciprocal_endpoint="https://music.example/o/reciprocal/",
            auth_method="client_secret_post",
            scope="play openid",
            reciprocal_scope="ask",
            allowed_scope="profile playback",
            preconfigured_scope="profile",
            dialect="ietf",
            authorization_parameter="audience=music",
            application_client_id="music-here",
            application_client_secret=CANARY_HERE,
        ),
        "--redirect-uri",
        "https://music.example/second/",
        "--revoke-replaced",
        "--disable",
    )

    peer = Peer.objects.get(slug="music")
    assert peer.homepage == "https://music.example/"
    assert peer.issuer == "https://music.example/o"
    assert peer.revocation_endpoint == "https://music.example/o/revoke_token/"
    assert peer.userinfo_endpoint == "https://music.example/o/userinfo/"
    assert peer.account_endpoint == "https://music.example/api/me/"
    assert peer.account_member == "user.name"
    assert peer.description == "Plays music."
    assert peer.logo_uri == "https://music.example/logo.png"
    assert peer.policy_uri == "https://music.example/privacy"
    assert peer.tos_uri == "https://music.example/terms"
    assert peer.reciprocal_endpoint == "https://music.example/o/reciprocal/"
    assert peer.token_endpoint_auth_method == "client_secret_post"
    assert peer.scope == "play openid"
    assert peer.reciprocal_scope == "ask"
    assert peer.allowed_scope == "profile playback"
    assert peer.preconfigured_scope == "profile"
    assert peer.authorization_parameters == "audience=music"
    assert peer.revoke_replaced
    assert not peer.enabled
    assert peer.application.client_id == "music-here"
    assert check_password(CANARY_HERE, peer.application.client_secret)
    assert peer.application.redirect_uris.split() == [
        NEEDED["--redirect-uri"],
        "https://music.example/second/",
    ]


@pytest.mark.django_db
def test_a_made_up_secret_is_printed_once_and_works() -> None:
    text = run("add", "music", *flags())

    secret = re.search(r"its client secret here +(\S+)$", text, re.MULTILINE)
    assert secret
    assert check_password(secret[1], Peer.objects.get().application.client_secret)
    assert "client secret here" not in run("add", "music", "--scope", "play")
    assert secret[1] not in run("show", "music") + run("list")


@pytest.mark.django_db
def test_a_given_secret_is_not_printed() -> None:
    given = flags(application_client_secret=CANARY_HERE)

    text = run("add", "music", *given) + run("add", "tv", *given, "--json")

    assert CANARY not in text
    assert CANARY_HERE not in text


@pytest.mark.django_db
def test_a_value_that_begins_like_an_option_is_given_with_an_equals_sign() -> None:
    """Client IDs and secrets of other servers can begin with a hyphen."""
    with pytest.raises(CommandError, match="expected one argument .*--option=VALUE"):
        run("add", "music", *flags(), "--client-id", "-abc")

    run("add", "music", *flags(), "--client-id=-abc")

    assert Peer.objects.get().client_id == "-abc"


@pytest.mark.django_db
def test_secrets_from_standard_input() -> None:
    given = flags(client_secret="-", application_client_secret="-")

    run("add", "music", *given, stdin=f"{CANARY}\r\n{CANARY_HERE}\n")

    peer = Peer.objects.get()
    assert peer.client_secret.reveal() == CANARY
    assert check_password(CANARY_HERE, peer.application.client_secret)


@pytest.mark.django_db
@pytest.mark.parametrize("stdin", ["", "\n", f"{CANARY}\n", f"{CANARY}\n\n"])
def test_standard_input_ends_too_early(stdin: str) -> None:
    given = flags(client_secret="-", application_client_secret="-")

    with pytest.raises(CommandError, match="client-secret: standard input has no line"):
        run("add", "music", *given, stdin=stdin)

    assert not Peer.objects.exists()


@pytest.mark.django_db
def test_secrets_are_asked_for_at_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("getpass.getpass", lambda prompt: f"typed for {prompt}")

    run("add", "music", *flags(client_secret="-"), stdin=Terminal())

    assert Peer.objects.get().client_secret.reveal() == "typed for --client-secret: "


@pytest.mark.django_db
def test_as_json() -> None:
    document = json.loads(run("add", "music", *flags(), "--json"))

    assert document["created"] is True
    assert document["slug"] == "music"
    assert document["client_secret_stored"] is True
    assert "client_secret" not in document
    application = Peer.objects.get().application
    assert document["application_client_id"] == application.client_id
    assert check_password(document["application_client_secret"], application.client_secret)
    assert document["give_to_peer"]["redirect_uri"] == "/connections/music/callback/"
    again = json.loads(run("add", "music", "--scope", "play", "--json"))
    assert again["created"] is False
    assert again["scope"] == "play"
    assert "application_client_secret" not in again


@pytest.mark.django_db
def test_options_by_keyword() -> None:
    """As ``call_command`` is often used."""
    values = {flag.lstrip("-").replace("-", "_"): value for flag, value in NEEDED.items()}

    run("add", "music", **values, enabled=False, json=True)

    peer = Peer.objects.get()
    assert not peer.enabled
    assert peer.application.redirect_uris == NEEDED["--redirect-uri"]


# Its application here


@pytest.mark.django_db
def test_an_application_that_is_there() -> None:
    application = get_application_model().objects.create(
        name="Set up by hand",
        client_id="by-hand",
        client_secret=PEER_SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://old.example/",
    )

    run("add", "music", *flags(application_client_id="by-hand", redirect_uri=None))

    peer = Peer.objects.get()
    assert peer.application == application
    application.refresh_from_db()
    assert application.name == "Set up by hand"
    assert application.redirect_uris == "https://old.example/"
    assert check_password(PEER_SECRET, application.client_secret)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"client_type": "public"}, "must be confidential"),
        ({"authorization_grant_type": "client-credentials"}, "authorization code grant"),
        ({"client_secret": ""}, "no client secret"),
    ],
)
@pytest.mark.django_db
def test_an_application_that_cannot_be_used(changes: dict[str, str], why: str) -> None:
    values = {
        "client_id": "by-hand",
        "client_secret": PEER_SECRET,
        "client_type": "confidential",
        "authorization_grant_type": "authorization-code",
    }
    get_application_model().objects.create(**{**values, **changes})

    reasons = refusal("add", "music", *flags(application_client_id="by-hand", redirect_uri=None))

    assert why in "".join(reasons["--application-client-id"])


@pytest.mark.django_db
def test_a_redirect_uri_that_is_missing_is_asked_for() -> None:
    assert refusal("add", "music", *flags(redirect_uri=None)) == {
        "--redirect-uri": ["Give the redirect URI of the peer. The peer's administrator knows it."]
    }


def test_the_sheet_says_how_its_paths_become_whole_urls(peer: Peer) -> None:
    said = "To get URLs instead of paths"

    assert said in run("show", "music")
    assert said not in run("show", "music", "--base-url", "https://assistant.example")


@pytest.mark.threat("W52")
@pytest.mark.django_db
def test_an_application_that_people_have_let_in_has_to_be_accepted(
    user: Any, make_token: Any
) -> None:
    application = get_application_model().objects.create(
        client_id="by-hand",
        client_secret=PEER_SECRET,
        client_type="confidential",
        authorization_grant_type="authorization-code",
        redirect_uris="https://music.example/callback/",
    )
    make_token(application, user)
    given = ("add", "music", *flags(application_client_id="by-hand", redirect_uri=None))

    (reason,) = refusal(*given)["--accept-changes"]
    run(*given, "--accept-changes")

    assert "accounts here (people: 1). From then on, --allowed-scope limits" in reason
    assert Peer.objects.get().application == application


@pytest.mark.django_db
def test_fields_of_the_sites_own_application_model() -> None:
    own = ("--application-field", "post_logout_redirect_uris=https://music.example/out/?a=b")

    run("add", "music", *flags(), *own, "--application-field", "skip_authorization=True")

    application = get_application_model().objects.get()
    assert application.post_logout_redirect_uris == "https://music.example/out/?a=b"
    assert application.skip_authorization is True


@pytest.mark.django_db
@pytest.mark.parametrize("given", ["no_such_field=1", "id=1", "client_secret=x", "name"])
def test_of_a_field_that_cannot_be_given_the_others_are_named(given: str) -> None:
    with pytest.raises(CommandError, match="Give NAME=VALUE. NAME is one of: .*algorithm"):
        run("add", "music", *flags(), "--application-field", given)


@pytest.mark.django_db
def test_what_a_field_of_the_application_cannot_be_is_told_beside_its_flag() -> None:
    reasons = refusal("add", "music", *flags(), "--application-field", "algorithm=XX")

    assert "--application-field algorithm" in reasons
    with pytest.raises(CommandError, match="--application-field skip_authorization: .*True"):
        run("add", "music", *flags(), "--application-field", "skip_authorization=perhaps")


@isolate_apps("tests")
def test_an_application_model_without_an_algorithm(monkeypatch: pytest.MonkeyPatch) -> None:
    class Registration(AbstractApplication):
        algorithm = user = None

        class Meta:
            app_label = "tests"

    monkeypatch.setattr(peer_application, "get_application_model", lambda: Registration)

    application = peer_application.application_for(Peer(name="Music"))

    assert application.name == "Music"


def test_the_application_of_another_peer(peer: Peer) -> None:
    given = flags(application_client_id="music-here", application_client_secret=CANARY_HERE)

    reasons = refusal("add", "tv", *given)

    assert reasons == {"--application-client-id": ["This is the application of the peer music."]}
    peer.application.refresh_from_db()
    assert check_password(PEER_SECRET, peer.application.client_secret)


def test_its_secret_and_redirect_uris_are_replaced(peer: Peer) -> None:
    run(
        "add",
        "music",
        *("--application-client-secret", CANARY_HERE),
        *("--redirect-uri", "https://new.example/a/", "--redirect-uri", "https://new.example/b/"),
    )

    peer.application.refresh_from_db()
    assert check_password(CANARY_HERE, peer.application.client_secret)
    assert peer.application.redirect_uris == "https://new.example/a/ https://new.example/b/"
    assert get_application_model().objects.count() == 1


def test_another_application_while_there_are_links(peer: Peer, link_as_a: Link) -> None:
    reasons = refusal("add", "music", "--application-client-id", "other", *flags()[-2:])

    assert reasons["--application-client-id"] == [
        "The peer has active links, and their tokens belong to its application."
    ]
    assert Peer.objects.get().application == peer.application


def test_another_application_once_the_links_have_ended(peer: Peer, link_as_a: Link) -> None:
    Link.objects.update(status=Link.Status.ENDED)

    other = ("add", "music", "--application-client-id", "other", *flags()[-2:])
    (change,) = refusal(*other)["--accept-changes"]
    run(*other, "--accept-changes")

    assert change == "Give this flag to change application of the peer: music-here → other"
    assert Peer.objects.get().application.client_id == "other"


def test_the_application_follows_the_name(peer: Peer) -> None:
    peer.application.name = peer.name
    peer.application.save()

    run("add", "music", "--name", "Tunes")

    assert Peer.objects.get().application.name == "Tunes"


def test_the_applications_own_name_stays(peer: Peer) -> None:
    run("add", "music", "--name", "Tunes")

    assert Peer.objects.get().application.name == "music"


def test_an_application_is_left_alone_where_nothing_is_said_about_it(peer: Peer) -> None:
    """It may have been set up in a way that DOT no longer accepts."""
    get_application_model().objects.update(redirect_uris="")

    run("add", "music", "--scope", "play")

    assert Peer.objects.get().scope == "play"


@pytest.mark.django_db
@pytest.mark.parametrize(("with_key", "algorithm"), [(True, "RS256"), (False, "")])
def test_id_tokens_are_signed_where_the_site_can(
    with_key: bool, algorithm: str, settings: Any
) -> None:
    key = jwk.JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None)
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": key.decode() if with_key else "",
    }

    run("add", "music", *flags())

    assert Peer.objects.get().application.algorithm == algorithm


@pytest.mark.parametrize(
    ("scope", "before", "after"),
    [("openid playback", "", "RS256"), ("playback", "", ""), ("openid playback", "HS256", "HS256")],
)
def test_an_application_from_before_openid_connect_gets_an_algorithm_when_openid_is_allowed(
    peer: Peer, settings: Any, scope: str, before: str, after: str
) -> None:
    key = jwk.JWK.generate(kty="RSA", size=2048).export_to_pem(private_key=True, password=None)
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ENABLED": True,
        "OIDC_RSA_PRIVATE_KEY": key.decode(),
        "SCOPES": {"openid": "Know who you are", **settings.OAUTH2_PROVIDER["SCOPES"]},
    }
    get_application_model().objects.update(algorithm=before)

    run("add", "music", "--allowed-scope", scope, "--preconfigured-scope", "playback")

    assert Peer.objects.get().application.algorithm == after


# Updating


def test_only_what_is_given_changes(peer: Peer) -> None:
    before = Peer.objects.filter(slug="music").values().get()

    run("add", "music", "--scope", "", "--reciprocal-scope", "other")

    after = Peer.objects.filter(slug="music").values().get()
    changed = {name for name in after if str(after[name]) != str(before[name])}
    assert changed == {"scope", "reciprocal_scope", "updated_at"}
    assert after["scope"] == ""
    assert Peer.objects.get().client_secret.reveal() == OUR_SECRET


def test_switching_off_and_on(peer: Peer) -> None:
    run("add", "music", "--disable")
    assert not Peer.objects.get().enabled
    run("add", "music", "--scope", "play")
    assert not Peer.objects.get().enabled
    run("add", "music", "--enable")
    assert Peer.objects.get().enabled


@pytest.mark.django_db
def test_running_it_again_changes_nothing() -> None:
    given = flags(application_client_id="music-here", application_client_secret=CANARY_HERE)
    run("add", "music", *given)
    run("add", "music", *given)

    assert Peer.objects.count() == 1
    assert get_application_model().objects.count() == 1


# Refusing


@pytest.mark.django_db
def test_every_reason_names_its_flag() -> None:
    reasons = refusal(
        "add",
        "not a slug",
        *flags(
            name="",
            homepage="nowhere",
            issuer="http://music.example",
            authorization_endpoint="ftp://music.example/",
            token_endpoint="http://music.example/token",
            revocation_endpoint="https://music.example/#x",
            reciprocal_endpoint="https://u:p@music.example/",
            client_id="",
            client_secret="",
            auth_method="none",
            scope='"',
            reciprocal_scope="openid",
            allowed_scope="everything",
            preconfigured_scope="profile",
            dialect="klingon",
            application_client_secret="",
            redirect_uri="javascript:alert(1)",
        ),
    )

    assert set(reasons) == {
        "SLUG",
        "--name",
        "--homepage",
        "--issuer",
        "--authorization-endpoint",
        "--token-endpoint",
        "--revocation-endpoint",
        "--reciprocal-endpoint",
        "--client-id",
        "--client-secret",
        "--auth-method",
        "--scope",
        "--reciprocal-scope",
        "--allowed-scope",
        "--preconfigured-scope",
        "--dialect",
        "--application-client-secret",
        "--redirect-uri",
    }


@pytest.mark.django_db
def test_nothing_is_given() -> None:
    reasons = refusal("add", "music")

    assert {
        "--name",
        "--authorization-endpoint",
        "--token-endpoint",
        "--client-id",
        "--client-secret",
        "--redirect-uri",
    } <= set(reasons)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("scopes", "warns"),
    [({}, True), ({"scope": "play"}, False), ({"allowed_scope": "profile"}, False)],
)
def test_a_peer_without_any_scope_is_saved_with_a_warning(
    scopes: dict[str, str], warns: bool
) -> None:
    err = io.StringIO()

    run("add", "music", *flags(**scopes), stderr=err)

    assert Peer.objects.exists()
    assert ("Warning: No scope is set" in err.getvalue()) is warns


@pytest.mark.django_db
def test_of_a_wrong_choice_the_right_ones_are_told() -> None:
    reasons = refusal("add", "music", *flags(auth_method="foo"))

    assert (
        "Choose one of: client_secret_basic, client_secret_post, private_key_jwt."
        in reasons["--auth-method"]
    )


@pytest.mark.django_db
def test_no_reason_repeats_a_secret() -> None:
    given = flags(
        client_secret=CANARY, application_client_secret=CANARY_HERE * 20, token_endpoint="http://x/"
    )

    with pytest.raises(CommandError) as raised:
        run("add", "music", *given)

    assert CANARY not in str(raised.value)
    assert CANARY_HERE not in str(raised.value)


def test_an_update_that_is_refused_changes_nothing(peer: Peer) -> None:
    reasons = refusal(
        "add",
        "music",
        *(
            "--preconfigured-scope",
            "history",
            "--name",
            "Other",
            "--application-client-secret",
            CANARY_HERE,
        ),
    )

    assert list(reasons) == ["--preconfigured-scope"]
    peer.refresh_from_db()
    assert peer.name == "Music"
    peer.application.refresh_from_db()
    assert check_password(PEER_SECRET, peer.application.client_secret)


@pytest.mark.django_db
def test_enable_and_disable_at_once() -> None:
    with pytest.raises(CommandError, match="not allowed with"):
        run("add", "music", "--enable", "--disable")


@pytest.mark.parametrize("arguments", [(), ("delete", "music"), ("show",), ("list", "--name", "x")])
def test_wrong_usage(arguments: tuple[str, ...]) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


# Discovery


@pytest.fixture
def metadata(fake_peer: FakePeer) -> dict[str, Any]:
    """The metadata that the fake peer has at ``/o``; may be changed."""
    members = {
        "issuer": f"{fake_peer.url}/o",
        "authorization_endpoint": f"{fake_peer.url}/o/authorize/",
        "token_endpoint": f"{fake_peer.url}/o/token/",
        "revocation_endpoint": f"{fake_peer.url}/o/revoke_token/",
        "grant_types_supported": ["authorization_code", GRANT_TYPE],
    }
    well_known = "/.well-known/oauth-authorization-server/o"
    fake_peer.answers[well_known] = lambda received: Reply.json(**members)
    return members


def discovery_flags(**changes: str | None) -> list[str]:
    return flags(authorization_endpoint=None, token_endpoint=None, scope="play", **changes)


@pytest.mark.django_db
def test_discovery_fills_the_endpoints(fake_peer: FakePeer, metadata: dict[str, Any]) -> None:
    err = io.StringIO()
    run("add", "music", *discovery_flags(), "--discover", f"{fake_peer.url}/o", stderr=err)

    peer = Peer.objects.get()
    assert peer.issuer == metadata["issuer"]
    assert peer.authorization_endpoint == metadata["authorization_endpoint"]
    assert peer.token_endpoint == metadata["token_endpoint"]
    assert peer.revocation_endpoint == metadata["revocation_endpoint"]
    assert peer.token_endpoint_auth_method == "client_secret_basic"
    assert err.getvalue() == ""


@pytest.mark.django_db
def test_what_a_flag_gives_wins(fake_peer: FakePeer, metadata: dict[str, Any]) -> None:
    given = discovery_flags(revocation_endpoint="", issuer="https://other.example")
    run("add", "music", *given, "--discover", f"{fake_peer.url}/o")

    peer = Peer.objects.get()
    assert peer.revocation_endpoint == ""
    assert peer.issuer == "https://other.example"
    assert peer.token_endpoint == metadata["token_endpoint"]


@pytest.mark.django_db
@pytest.mark.rfc("9207", "3")
def test_that_its_answers_name_the_issuer_is_found_shown_and_switched(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    metadata["authorization_response_iss_parameter_supported"] = True

    run("add", "music", *discovery_flags(), "--discover", f"{fake_peer.url}/o")

    assert Peer.objects.get().sends_iss
    assert re.search(r"sends-iss +yes", run("show", "music"))
    assert json.loads(run("show", "music", "--json"))["sends_iss"] is True
    run("add", "music", "--no-sends-iss")
    assert not Peer.objects.get().sends_iss
    run("add", "music", "--sends-iss")
    assert Peer.objects.get().sends_iss


@pytest.mark.django_db
def test_a_peer_that_takes_secrets_in_the_body_only(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    metadata["token_endpoint_auth_methods_supported"] = ["client_secret_post", "none"]

    run("add", "music", *discovery_flags(), "--discover", f"{fake_peer.url}/o")

    assert Peer.objects.get().token_endpoint_auth_method == "client_secret_post"


@pytest.mark.django_db
def test_a_peer_that_does_not_list_the_grant(fake_peer: FakePeer, metadata: dict[str, Any]) -> None:
    del metadata["grant_types_supported"]
    err = io.StringIO()

    text = run(
        "add", "music", *discovery_flags(), "--discover", f"{fake_peer.url}/o", "--json", stderr=err
    )

    assert "does not list the reciprocal grant" in err.getvalue()
    assert json.loads(text)["created"] is True


@pytest.mark.django_db
def test_discovery_brings_the_peers_words_for_its_scopes(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    address = f"{fake_peer.url}/o"
    metadata["reciprocal_scope_descriptions"] = {"play": "Play music"}
    run("add", "music", *discovery_flags(), "--discover", address)
    assert Peer.objects.get().scope_words == {"play": {"": "Play music"}}

    metadata["reciprocal_scope_descriptions"] = {"play": "Play songs", "play#de": "Abspielen"}
    run("add", "music", "--discover", address)

    assert Peer.objects.get().words_of("de") == {"play": "Abspielen"}


@pytest.mark.django_db
def test_discovery_fails(fake_peer: FakePeer) -> None:
    with pytest.raises(CommandError) as raised:
        run("add", "music", *discovery_flags(), "--discover", f"{fake_peer.url}/o")

    assert str(raised.value).startswith("--discover: No metadata of")
    assert "/.well-known/openid-configuration/o: HTTP 404" in str(raised.value)
    assert not Peer.objects.exists()


@pytest.mark.rfc("6749", "3.1")
@pytest.mark.django_db
def test_the_query_of_an_endpoint_survives_discovery_once_more(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    address = f"{fake_peer.url}/o"
    with_query = f"{metadata['authorization_endpoint']}?access_type=offline"
    given = flags(authorization_endpoint=with_query, token_endpoint=None, scope="play")

    run("add", "music", *given, "--discover", address)
    run("add", "music", "--discover", address)

    assert Peer.objects.get().authorization_endpoint == with_query


@pytest.mark.rfc("6749", "3.1")
@pytest.mark.django_db
def test_extra_authorization_parameters() -> None:
    extra = ("--authorization-parameter", "access_type=offline")
    second = ("--authorization-parameter", "audience=https://api.music.example")

    run("add", "music", *flags(), *extra, *second)

    assert Peer.objects.get().extra_parameters == {
        "access_type": "offline",
        "audience": "https://api.music.example",
    }
    assert "access_type=offline audience=https://api.music.example" in run("show", "music")
    run("add", "music", "--authorization-parameter", "")
    assert Peer.objects.get().extra_parameters == {}


@pytest.mark.rfc("6749", "2.3.1")
@pytest.mark.django_db
@pytest.mark.parametrize(
    ("secret", "method", "warns"),
    [
        ("a/secret+with=more", "client_secret_basic", True),
        ("a/secret+with=more", "client_secret_post", False),
        ("A-plain_secret.1~", "client_secret_basic", False),
    ],
)
def test_a_secret_that_not_every_site_decodes_is_warned_about_where_it_is_entered(
    secret: str, method: str, warns: bool
) -> None:
    err, again = io.StringIO(), io.StringIO()

    run("add", "music", *flags(client_secret=secret, auth_method=method, scope="p"), stderr=err)
    run("add", "music", "--scope", "play", stderr=again)

    assert ("choose client_secret_post" in err.getvalue()) is warns
    assert secret not in err.getvalue()
    assert again.getvalue() == ""


@pytest.mark.threat("W51")
@pytest.mark.django_db
def test_discovery_once_more_names_what_it_would_change(
    fake_peer: FakePeer, metadata: dict[str, Any]
) -> None:
    address = f"{fake_peer.url}/o"
    run("add", "music", *discovery_flags(), "--discover", address)
    before = Peer.objects.get()
    run("add", "music", "--discover", address)
    metadata["token_endpoint"] = f"{fake_peer.url}/v2/token/"
    metadata["revocation_endpoint"] = "https://elsewhere.example/revoke/"

    reasons = refusal("add", "music", "--discover", address)

    revocation = (
        f"revocation endpoint: {before.revocation_endpoint} → {metadata['revocation_endpoint']}"
    )
    token = f"token endpoint: {before.token_endpoint} → {metadata['token_endpoint']}"
    assert reasons["--accept-changes"] == [
        f"Give this flag to change {revocation}",
        f"Give this flag to change {token}",
    ]
    assert "enter the client secret again" in reasons["--client-secret"][0]
    assert Peer.objects.get().token_endpoint == before.token_endpoint

    run("add", "music", "--discover", address, "--accept-changes", "--client-secret", CANARY)

    assert Peer.objects.get().token_endpoint == metadata["token_endpoint"]
    assert Peer.objects.get().revocation_endpoint == metadata["revocation_endpoint"]


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("issuer", "path"),
    [("https://old.example/o", "/o/keys.json"), ("https://old.example/auth", "/keys.json")],
)
def test_the_keys_of_a_peer_that_has_moved_are_looked_for_at_its_new_issuer(
    fake_peer: FakePeer, metadata: dict[str, Any], issuer: str, path: str
) -> None:
    address = f"{fake_peer.url}/o"
    run("add", "music", *discovery_flags(), "--discover", address)
    Peer.objects.update(issuer=issuer, jwks_uri=f"https://old.example{path}")

    reasons = refusal("add", "music", "--discover", address)

    moved = f"https://old.example{path} → {fake_peer.url}{path}"
    assert [reason for reason in reasons["--accept-changes"] if reason.endswith(moved)]

    run("add", "music", "--discover", address, "--accept-changes", "--client-secret", CANARY)

    assert Peer.objects.get().jwks_uri == f"{fake_peer.url}{path}"


@pytest.mark.threat("X50", "W51")
def test_another_address_needs_the_secret_once_more_and_to_be_accepted(
    peer: Peer, link_as_a: Link
) -> None:
    moved = ("add", "music", "--token-endpoint", "https://elsewhere.example/token/")

    reasons = refusal(*moved)

    assert list(reasons) == ["--client-secret", "--accept-changes"]
    assert reasons["--accept-changes"] == [
        "Give this flag to change token endpoint: "
        f"{peer.token_endpoint} → https://elsewhere.example/token/",
        "Connections that stop working until people connect again: 1.",
    ]
    assert list(refusal(*moved, "--client-secret", CANARY)) == ["--accept-changes"]
    assert list(refusal(*moved, "--accept-changes")) == ["--client-secret"]
    run(*moved, "--client-secret", CANARY, "--accept-changes")
    assert Peer.objects.get().token_endpoint == "https://elsewhere.example/token/"


@pytest.mark.django_db
@pytest.mark.parametrize("slash", ["", "/"])
def test_of_a_host_without_metadata_the_likely_issuer_is_named(
    fake_peer: FakePeer, slash: str
) -> None:
    with pytest.raises(CommandError, match=f"often {fake_peer.url}/o\\. Try this"):
        run("add", "music", "--discover", fake_peer.url + slash)


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("address", "document"),
    [
        ("/o", {}),
        ("", {"issuer": "https://evil.example/o"}),
        ("", {"issuer": "{url}", "token_endpoint": 7}),
    ],
)
def test_no_issuer_is_guessed_where_one_was_given_or_found(
    fake_peer: FakePeer, address: str, document: dict[str, Any]
) -> None:
    if document:
        named = {**document, "issuer": document["issuer"].format(url=fake_peer.url)}
        fake_peer.answers["/.well-known/oauth-authorization-server"] = Reply.json(**named)

    with pytest.raises(CommandError) as raised:
        run("add", "music", "--discover", fake_peer.url + address)

    assert "often" not in str(raised.value)


BAD_METADATA: dict[str, dict[str, Any]] = {
    "another issuer": {"issuer": "https://evil.example/o"},
    "no issuer": {"issuer": None},
    "no token endpoint": {"token_endpoint": None},
    "no authorization endpoint": {"authorization_endpoint": ""},
    "a token endpoint in clear": {"token_endpoint": "http://peer.example/o/token/"},
    "an endpoint that is no text": {"authorization_endpoint": ["https://peer.example/"]},
}


@pytest.mark.django_db
@pytest.mark.rfc("8414", "3.3")
@pytest.mark.threat("H4")
@pytest.mark.parametrize("fault", BAD_METADATA)
def test_of_metadata_that_cannot_be_used_nothing_is_stored(
    fault: str, fake_peer: FakePeer, metadata: dict[str, Any], peer: Peer
) -> None:
    metadata |= BAD_METADATA[fault]
    before = list(Peer.objects.values()), list(get_application_model().objects.values())
    discover = ["--discover", f"{fake_peer.url}/o"]

    with pytest.raises(CommandError, match="--discover: No metadata of"):
        run("add", "tv", *discovery_flags(), *discover)
    with pytest.raises(CommandError, match="--discover: No metadata of"):
        run("add", "music", "--name", "Tunes", *discover)

    assert before == (list(Peer.objects.values()), list(get_application_model().objects.values()))


@override_settings(RECIPROCAL_OAUTH={"HTTP_ALLOW_LOOPBACK": False})
@pytest.mark.django_db
@pytest.mark.threat("H1")
def test_discovery_at_an_address_that_is_never_called() -> None:
    with pytest.raises(CommandError, match="--discover: "):
        run("add", "music", *discovery_flags(), "--discover", "https://127.0.0.1/o")


# Showing


SHEET = {
    "client_id": "music-here",
    "redirect_uri": "/connections/music/callback/",
    "client_type": "confidential",
    "grant_types": f"authorization_code refresh_token {GRANT_TYPE}",
    "response_types": "code",
    "issuer": "/o",
    "metadata": "/o/.well-known/oauth-authorization-server",
    "authorization_endpoint": "/o/authorize/",
    "token_endpoint": "/o/token/",
    "revocation_endpoint": "/o/revoke_token/",
    "reciprocal_endpoint": "/o/token/",
    "scope_here": "profile playback",
    "scope_there": "play ask-back",
}


def test_show(peer: Peer, link_as_a: Link) -> None:
    text = run("show", "music")

    assert "peer                     music, enabled, active links: 1" in text
    assert re.search(r"^client-secret +\(stored\)$", text, re.MULTILINE)
    assert re.search(r"^reciprocal-endpoint +–$", text, re.MULTILINE)
    for value in SHEET.values():
        assert f"  {value}\n" in text + "\n"
    assert OUR_SECRET not in text
    assert PEER_SECRET not in text


@pytest.mark.threat("X7")
def test_show_says_that_no_key_reads_the_secret(peer: Peer, settings: Any) -> None:
    keys = [Fernet.generate_key().decode()]
    settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ENCRYPTION_KEYS": keys}

    assert re.search(r"^client-secret +\(cannot be read\)$", run("show", "music"), re.MULTILINE)


def test_show_as_json(peer: Peer) -> None:
    document = json.loads(run("show", "music", "--json"))

    assert document["give_to_peer"] == SHEET
    assert document["application_client_id"] == "music-here"
    assert document["redirect_uris"] == peer.application.redirect_uris.split()
    assert document["active_links"] == 0
    assert OUR_SECRET not in str(document)
    assert not any("secret" in name for name in document if name != "client_secret_stored")


@pytest.mark.parametrize("base", ["https://us.example", "https://us.example/"])
def test_whole_urls(peer: Peer, base: str) -> None:
    document = json.loads(run("show", "music", "--json", "--base-url", base))

    assert document["give_to_peer"] == {
        name: f"https://us.example{value}" if value.startswith("/") else value
        for name, value in SHEET.items()
    }
    assert "https://us.example/connections/music/callback/" in run(
        "add", "music", "--base-url", base
    )


@pytest.mark.parametrize("base", ["us.example", "ftp://us.example", "https://", "https://us/?x=1"])
def test_a_bad_base_url(peer: Peer, base: str) -> None:
    with pytest.raises(CommandError, match="--base-url"):
        run("show", "music", "--base-url", base)


def test_routes_that_are_not_included(peer: Peer, settings: Any) -> None:
    settings.ROOT_URLCONF = "django.contrib.auth.urls"

    assert "our token endpoint          (not available on this site)" in run("show", "music")


def test_an_unknown_peer(peer: Peer) -> None:
    with pytest.raises(CommandError, match="There is no peer “tv”. Known: music."):
        run("show", "tv")


def test_list(make_peer: Any, user: Any, django_assert_num_queries: Any) -> None:
    for slug in ("music", "tv", "alarm"):
        peer = make_peer(slug)
        Link.objects.create(user=user, peer=peer, account_key=KEY_UNKNOWN)
    Link.objects.filter(peer__slug="tv").update(status=Link.Status.ENDED)
    Peer.objects.filter(slug="tv").update(enabled=False, issuer="")

    with django_assert_num_queries(1):
        text = run("list")

    lines = text.splitlines()
    assert [line.split()[0] for line in lines] == ["alarm", "music", "tv"]
    assert lines[0].split() == [
        "alarm",
        "Alarm",
        "enabled",
        "ietf",
        "http://127.0.0.1:9/o",
        "1",
        "link",
    ]
    assert lines[2].split()[2:] == ["disabled", "ietf", "http://127.0.0.1:9/token/", "0", "links"]
    assert OUR_SECRET not in text


def test_a_long_name_leaves_the_other_columns_in_sight(make_peer: Any) -> None:
    make_peer("music", name="M" * 200, issuer=f"https://{'m' * 200}.example")

    text = run("list")

    assert f"  {'M' * 39}…  enabled" in text
    assert len(text.splitlines()[0]) < 150
    (document,) = json.loads(run("list", "--json"))
    assert (document["name"], len(document["issuer"])) == ("M" * 200, 216)


class TestAPausedPeer:
    @pytest.fixture(autouse=True)
    def _paused(self, make_peer: Any) -> None:
        make_peer("music", paused_at=timezone.now(), paused_reason="credentials_refused")

    def test_it_says_so(self) -> None:
        assert "enabled, paused (credentials_refused)" in run("list")
        assert "music, enabled, paused (credentials_refused)" in run("show", "music")
        assert json.loads(run("show", "music", "--json"))["paused_reason"] == "credentials_refused"

    def test_it_is_resumed(self) -> None:
        text = run("resume", "music")

        assert text == "Delivery is resumed. Sent again: 0 hand-overs.\n"
        assert Peer.objects.get().paused_at is None
        assert json.loads(run("resume", "music", "--json")) == {"resumed": False, "sent_again": 0}

    def test_correcting_our_registration_there_resumes_it(self) -> None:
        run("add", "music", "--name", "Music!")
        assert Peer.objects.get().paused_at

        run("add", "music", "--client-secret", "a-new-one")
        assert Peer.objects.get().paused_at is None

    def test_one_that_does_not_exist_is_named(self) -> None:
        with pytest.raises(CommandError, match="There is no peer “tv”. Known: music."):
            run("resume", "tv")


@pytest.mark.django_db
def test_list_as_json(make_peer: Any) -> None:
    make_peer("music")
    make_peer("tv")

    documents = json.loads(run("list", "--json"))

    assert [each["slug"] for each in documents] == ["music", "tv"]
    assert OUR_SECRET not in str(documents)


@pytest.mark.django_db
def test_an_empty_list() -> None:
    assert "There are no peers" in run("list")
    assert json.loads(run("list", "--json")) == []


def test_a_name_cannot_spoil_a_terminal(peer: Peer) -> None:
    Peer.objects.update(name="Mu\x1b[2Jsic\nforged")

    assert "\x1b" not in run("list") + run("show", "music") + run("list", "--json")
    assert len(run("list").splitlines()) == 1


def test_no_key_is_needed_to_show_or_update(peer: Peer, settings: Any) -> None:
    settings.SECRET_KEY = "another key" * 5

    run("show", "music")
    run("list", "--json")
    run("add", "music", "--scope", "play")

    settings.SECRET_KEY = "only-for-tests-" + "x" * 40
    assert Peer.objects.get().client_secret.reveal() == OUR_SECRET


def test_options_of_django_stand_behind_the_action(peer: Peer) -> None:
    run("list", "--no-color", "--traceback", "-v", "0", "--settings", "tests.settings")


@pytest.mark.rfc("7523", "2.2")
@pytest.mark.django_db(transaction=True)
def test_a_peer_is_added_without_a_secret_if_this_site_signs() -> None:
    printed = run(
        "add",
        "music",
        *flags(client_secret=None, auth_method="private_key_jwt", issuer="https://music.example/o"),
        "--base-url",
        "https://this-site.example",
    )

    peer = Peer.objects.get()
    assert (peer.signs_assertions, bool(peer.client_secret)) == (True, False)
    assert "https://this-site.example/o/reciprocal/jwks.json" in printed
    shown = run("show", "music")
    (thumbprint,) = key_set.thumbprints()
    assert thumbprint in shown
