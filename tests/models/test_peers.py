"""The validation of a peer: a configuration that cannot work is refused beside its field."""

from collections.abc import Callable
from typing import Any

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.db.models import ProtectedError
from django.utils import timezone

from reciprocal_oauth.models import Link, Pairing, Peer
from reciprocal_oauth.secret import Secret

MakePeer = Callable[..., Peer]


def test_a_well_configured_peer_is_taken(make_peer: MakePeer) -> None:
    peer = make_peer(homepage="https://music.example/", reciprocal_endpoint="")

    assert Peer.objects.get_by_natural_key("music") == peer
    assert peer.handover_endpoint == peer.token_endpoint
    assert str(peer) == "Music"


def test_codes_go_to_the_reciprocal_endpoint_where_there_is_one(make_peer: MakePeer) -> None:
    peer = make_peer(reciprocal_endpoint="http://127.0.0.1:9/reciprocal/")

    assert peer.handover_endpoint == "http://127.0.0.1:9/reciprocal/"


REFUSED = [
    ("authorization_endpoint", ""),
    ("token_endpoint", ""),
    ("client_id", ""),
    ("client_id", "us\x07at-music"),
    ("client_id", "us-at-m\u00fcsic"),
    ("client_secret", Secret("")),
    ("slug", "no slug"),
    ("homepage", "javascript:alert(1)"),
    ("issuer", "http://peer.example"),
    ("revocation_endpoint", "ftp://peer.example/"),
    ("account_member", "user..name"),
    ("account_endpoint", "ftp://peer.example/me"),
    ("logo_uri", "data:image/png;base64,AAAA"),
    ("policy_uri", "javascript:alert(1)"),
    ("tos_uri", "ftp://peer.example/"),
    ("reciprocal_endpoint", "https://user@peer.example/"),
    ("scope", 'pl"ay'),
    ("allowed_scope", "profile no-such-scope"),
    ("preconfigured_scope", "history"),
    ("preconfigured_scope", "no-such-scope"),
    ("dialect", "klingon"),
    ("dialect", "no.such.Dialect"),
    ("token_endpoint_auth_method", "none"),
]


@pytest.mark.parametrize(("field", "value"), REFUSED, ids=[f"{f}={v}" for f, v in REFUSED])
def test_what_cannot_work_is_refused_beside_its_field(
    field: str, value: Any, make_peer: MakePeer
) -> None:
    account = {"account_endpoint": "https://peer.example/me", "account_member": "name"}
    with pytest.raises(ValidationError) as refused:
        make_peer(**{**account, field: value})

    assert list(refused.value.message_dict) == [field]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"account_endpoint": "https://peer.example/me"}, "account_member"),
        ({"account_member": "name"}, "account_endpoint"),
    ],
)
def test_the_account_endpoint_and_its_member_need_each_other(
    given: dict[str, str], missing: str, make_peer: MakePeer
) -> None:
    with pytest.raises(ValidationError) as refused:
        make_peer(**given)

    assert list(refused.value.message_dict) == [missing]
    assert not Peer.objects.exists()


def test_an_issuer_is_needed_if_responses_must_name_it(make_peer: MakePeer) -> None:
    with pytest.raises(ValidationError) as refused:
        make_peer(issuer="", sends_iss=True)

    assert list(refused.value.message_dict) == ["issuer"]


@pytest.mark.threat("L81")
@pytest.mark.rfc("OpenID Connect Core 1.0", "3.1.3.7")
def test_an_issuer_is_needed_to_ask_for_openid(make_peer: MakePeer) -> None:
    with pytest.raises(ValidationError) as refused:
        make_peer(issuer="", scope="play openid")

    assert list(refused.value.message_dict) == ["issuer"]


ENDPOINT_FIELDS = (
    "issuer",
    "authorization_endpoint",
    "token_endpoint",
    "revocation_endpoint",
    "userinfo_endpoint",
    "reciprocal_endpoint",
)
PEER = "https://peer.example"


@pytest.mark.threat("L50")
@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("offline", "NAME=VALUE"),
        ("=offline", "NAME=VALUE"),
        ("a b=c", "NAME=VALUE"),
        ("prompt=consent\nprompt=login", "twice"),
        ("state=mine", "“state”"),
        ("ok=1\nredirect_uri=https://evil.example/", "“redirect_uri”"),
        ("request_uri=https://evil.example/", "“request_uri”"),
        ("reciprocal=everything", "“reciprocal”"),
        ("code_challenge_method=plain", "“code_challenge_method”"),
    ],
)
def test_extra_parameters_that_cannot_be_are_refused(
    make_peer: MakePeer, text: str, why: str
) -> None:
    with pytest.raises(ValidationError, match=why) as refused:
        make_peer(authorization_parameters=text)

    assert list(refused.value.message_dict) == ["authorization_parameters"]


@pytest.mark.parametrize(
    "host", ["10.0.0.1", "169.254.169.254", "[fe80::1]", "127.0.0.1", "[::1]", "localhost"]
)
def test_an_address_that_is_never_called_is_refused_when_it_is_saved(
    host: str, make_peer: MakePeer, settings: Any
) -> None:
    settings.RECIPROCAL_OAUTH = {"DISPATCHER": "none", "HTTP_ALLOW_LOOPBACK": False}

    with pytest.raises(ValidationError) as refused:
        make_peer(url=PEER, **dict.fromkeys(ENDPOINT_FIELDS, f"https://{host}/"))

    assert list(refused.value.message_dict) == list(ENDPOINT_FIELDS)
    assert host.strip("[]") in str(refused.value.message_dict["token_endpoint"])


@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("10.0.0.1", {"HTTP_ALLOWED_NETWORKS": ["10.0.0.0/8"]}),
        ("localhost", {"HTTP_ALLOW_LOOPBACK": True}),
        ("[::1]", {"HTTP_ALLOW_LOOPBACK": True}),
        ("93.184.216.34", {}),
    ],
)
def test_an_address_that_the_settings_allow_is_taken(
    host: str, allowed: dict[str, Any], make_peer: MakePeer, settings: Any
) -> None:
    settings.RECIPROCAL_OAUTH = {"HTTP_ALLOW_LOOPBACK": False, **allowed}

    make_peer(url=PEER, token_endpoint=f"https://{host}/")

    assert Peer.objects.exists()


@pytest.mark.parametrize(
    ("field", "example"),
    [
        ("issuer", "/o."),
        ("authorization_endpoint", "/o/authorize/."),
        ("token_endpoint", "/o/token/."),
        ("revocation_endpoint", "/o/revoke_token/."),
        ("userinfo_endpoint", "/o/userinfo/."),
        ("reciprocal_endpoint", "/o/token/."),
    ],
)
def test_the_example_fits_the_field(field: str, example: str, make_peer: MakePeer) -> None:
    with pytest.raises(ValidationError) as refused:
        make_peer(**{field: "peer.example"})

    assert refused.value.message_dict == {field: [f"Enter a URL such as {PEER}{example}"]}


@pytest.mark.threat("X50")
def test_an_account_endpoint_at_another_site_needs_the_client_secret_again(
    make_peer: MakePeer,
) -> None:
    peer = make_peer(url=PEER)
    peer.account_endpoint, peer.account_member = "https://other.example/me/", "username"

    with pytest.raises(ValidationError, match="enter the client secret again"):
        peer.save()


@pytest.mark.parametrize("scheme", ["ftp", "http"])
def test_the_message_about_another_scheme_names_https(scheme: str, make_peer: MakePeer) -> None:
    with pytest.raises(ValidationError, match="must begin with https://"):
        make_peer(token_endpoint=f"{scheme}://peer.example/token/")


@pytest.mark.threat("C16")
@pytest.mark.parametrize("field", ["reciprocal_scope", "preconfigured_scope"])
def test_openid_is_no_part_of_a_reciprocal_grant(
    field: str, make_peer: MakePeer, settings: Any
) -> None:
    scopes = settings.OAUTH2_PROVIDER["SCOPES"] | {"openid": "Sign in"}
    settings.OAUTH2_PROVIDER = settings.OAUTH2_PROVIDER | {"SCOPES": scopes}

    with pytest.raises(ValidationError) as refused:
        make_peer(allowed_scope="openid profile", **{field: "openid profile"})

    assert "openid" in str(refused.value.message_dict[field])


@pytest.mark.threat("C16")
def test_openid_is_left_out_of_reciprocal_grants(make_peer: MakePeer, settings: Any) -> None:
    scopes = settings.OAUTH2_PROVIDER["SCOPES"] | {"openid": "Sign in"}
    settings.OAUTH2_PROVIDER = settings.OAUTH2_PROVIDER | {"SCOPES": scopes}

    assert make_peer(allowed_scope="openid profile").reciprocal_limit == "profile"


@pytest.mark.threat("S1")
def test_a_scope_that_the_site_no_longer_has_is_no_longer_given(
    make_peer: MakePeer, settings: Any
) -> None:
    peer = make_peer()
    settings.OAUTH2_PROVIDER = settings.OAUTH2_PROVIDER | {"SCOPES": {"profile": "See your name"}}

    assert peer.reciprocal_limit == "profile"


@pytest.mark.threat("B3", "F7")
@pytest.mark.parametrize(
    "values",
    [
        {"client_type": "public"},
        {"client_secret": ""},
        {"authorization_grant_type": "client-credentials"},
        {"authorization_grant_type": "password"},
    ],
    ids=str,
)
def test_an_application_that_cannot_be_a_peer_is_refused(
    values: dict[str, str], make_peer: MakePeer
) -> None:
    peer = make_peer()
    for name, value in values.items():
        setattr(peer.application, name, value)
    peer.application.save()

    with pytest.raises(ValidationError) as refused:
        peer.full_clean()

    assert list(refused.value.message_dict) == ["application"]


@pytest.mark.threat("B5")
def test_one_application_serves_one_peer(make_peer: MakePeer) -> None:
    first, second = make_peer("music"), make_peer("tv")
    second.application = first.application

    with pytest.raises(ValidationError):
        second.full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        second.save()


@pytest.mark.threat("Y3")
def test_the_application_of_a_peer_cannot_be_deleted(make_peer: MakePeer) -> None:
    peer = make_peer()

    with pytest.raises(ProtectedError):
        peer.application.delete()


def test_a_disabled_peer_keeps_its_links(link_as_a: Link) -> None:
    link_as_a.peer.enabled = False
    link_as_a.peer.save()

    assert Link.objects.get().is_active


KEY = {"token_endpoint_auth_method": "private_key_jwt"}
ISSUER = "https://peer.example/o"


@pytest.mark.rfc("7523", "2.2")
def test_a_peer_for_which_this_site_signs_needs_an_issuer_and_no_secret(
    make_peer: MakePeer,
) -> None:
    peer = make_peer(**KEY, client_secret=Secret(""), issuer=ISSUER)
    assert (peer.signs_assertions, peer.audience) == (True, ISSUER)

    peer.issuer = ""
    with pytest.raises(ValidationError) as refused:
        peer.full_clean()
    assert list(refused.value.message_dict) == ["issuer"]


@pytest.mark.parametrize("dialect", ["smartthings", "alexa", "google", "yandex", "sber"])
def test_this_site_cannot_sign_for_a_peer_whose_dialect_sends_a_secret(
    make_peer: MakePeer, dialect: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        make_peer(**KEY, issuer=ISSUER, dialect=dialect)

    assert "token_endpoint_auth_method" in refused.value.message_dict


@pytest.mark.parametrize("audience", ["http://peer.example/", "urn:peer", "peer"])
def test_an_audience_is_an_address(make_peer: MakePeer, audience: str) -> None:
    with pytest.raises(ValidationError) as refused:
        make_peer(**KEY, issuer=ISSUER, assertion_audience=audience)

    assert list(refused.value.message_dict) == ["assertion_audience"]


@pytest.mark.threat("JC2")
@pytest.mark.parametrize("fields", [None, {"token_endpoint_auth_method"}], ids=["all", "one"])
def test_the_secret_is_erased_once_this_site_signs(
    make_peer: MakePeer, fields: set[str] | None
) -> None:
    peer = make_peer(issuer=ISSUER)
    peer.token_endpoint_auth_method = Peer.AuthMethod.PRIVATE_KEY_JWT
    peer.full_clean()
    peer.save(update_fields=fields)

    assert not Peer.objects.get().client_secret
    assert Peer.objects.get().signs_assertions


@pytest.mark.threat("JC2")
def test_a_secret_is_not_sent_elsewhere_by_a_detour_over_keys(make_peer: MakePeer) -> None:
    """The secret is gone after the first step, so there is none to send after the last."""
    peer = make_peer(issuer=ISSUER)
    for method, url in (("private_key_jwt", ""), ("client_secret_basic", "https://evil.example/")):
        peer = Peer.objects.get(pk=peer.pk)
        peer.token_endpoint_auth_method = method
        peer.token_endpoint = url or peer.token_endpoint
        peer.save()

    assert not Peer.objects.get().client_secret
    with pytest.raises(ValidationError, match="Enter the client secret"):
        Peer.objects.get().full_clean()


@pytest.mark.threat("JC2")
def test_an_unsaved_method_does_not_open_another_address(make_peer: MakePeer) -> None:
    peer = make_peer(issuer=ISSUER)
    peer.token_endpoint_auth_method = Peer.AuthMethod.PRIVATE_KEY_JWT
    peer.token_endpoint = "https://evil.example/token/"

    with pytest.raises(ValidationError, match="enter the client secret again"):
        peer.save(update_fields={"token_endpoint"})


@pytest.mark.parametrize("only", [None, ["slug"]])
def test_the_short_name_is_corrected_while_nobody_has_linked(
    make_peer: MakePeer, only: list[str] | None
) -> None:
    peer = make_peer("musik", client_secret=Secret("s3cret"))

    peer.slug = "music"
    peer.full_clean()
    peer.save(update_fields=only)

    assert Peer.objects.get(slug="music").client_secret.reveal() == "s3cret"


def test_the_short_name_is_corrected_although_the_secret_was_not_loaded(
    make_peer: MakePeer,
) -> None:
    make_peer("musik", client_secret=Secret("s3cret"))

    peer = Peer.objects.only("slug").get()
    peer.slug = "music"
    peer.save(update_fields=["slug"])

    assert Peer.objects.get(slug="music").client_secret.reveal() == "s3cret"


@pytest.mark.parametrize("status", Link.Status.values)
def test_the_short_name_stays_once_somebody_has_linked(link_as_a: Link, status: str) -> None:
    Link.objects.update(status=status)
    peer = link_as_a.peer
    peer.slug = "other"

    with pytest.raises(ValidationError, match="people have connected") as refused:
        peer.full_clean()
    assert list(refused.value.message_dict) == ["slug"]
    with pytest.raises(ValidationError):
        peer.save(update_fields=["slug"])


def test_the_short_name_of_a_paired_peer_stays(make_peer: MakePeer) -> None:
    peer = make_peer()
    Pairing.objects.create(
        role=Pairing.Role.INVITER,
        state=Pairing.State.COMPLETE,
        peer=peer,
        slug=peer.slug,
        issuer=peer.issuer,
        expires_at=timezone.now(),
    )
    peer.slug = "other"

    with pytest.raises(ValidationError, match="after a pairing") as refused:
        peer.save()
    (reason,) = refused.value.message_dict["slug"]
    assert "end the pairing if it has not ended yet, and pair or register this site again" in reason


def test_a_secret_that_no_key_decrypts_is_not_lost_with_the_short_name(
    make_peer: MakePeer, settings: Any
) -> None:
    make_peer(client_secret=Secret("s3cret"))
    before = settings.RECIPROCAL_OAUTH
    settings.RECIPROCAL_OAUTH = {**before, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    peer = Peer.objects.get()
    peer.slug = "other"

    with pytest.raises(ValidationError, match="no key decrypts"):
        peer.save()

    settings.RECIPROCAL_OAUTH = before
    assert Peer.objects.get(slug="music").client_secret.reveal() == "s3cret"
