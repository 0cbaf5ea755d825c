"""A peer's metadata (RFC 8414; OpenID Connect Discovery 1.0)."""

import json
from typing import Any

import pytest
from django.test import override_settings

from reciprocal_oauth.client.discovery import Metadata, discover, metadata_urls
from reciprocal_oauth.core.protocol import GRANT_TYPE
from reciprocal_oauth.exceptions import AddressRefused, BadResponse, PeerUnreachable
from tests.fakes import FakePeer, Reply

INSERTED = "/.well-known/oauth-authorization-server/o"
APPENDED = "/o/.well-known/oauth-authorization-server"
OPENID_APPENDED = "/o/.well-known/openid-configuration"
OPENID_INSERTED = "/.well-known/openid-configuration/o"
ALL = [INSERTED, APPENDED, OPENID_APPENDED, OPENID_INSERTED]


def document(fake_peer: FakePeer, **changes: Any) -> Reply:
    """The metadata of the issuer ``/o``; ``None`` leaves a member out."""
    members = {
        "issuer": f"{fake_peer.url}/o",
        "authorization_endpoint": f"{fake_peer.url}/o/authorize/",
        "token_endpoint": f"{fake_peer.url}/o/token/",
        "revocation_endpoint": f"{fake_peer.url}/o/revoke_token/",
        "grant_types_supported": ["authorization_code", GRANT_TYPE],
        "token_endpoint_auth_methods_supported": ["client_secret_post"],
        "scopes_supported": ["play", "history"],
        "authorization_response_iss_parameter_supported": True,
        **changes,
    }
    return Reply.json(**{name: value for name, value in members.items() if value is not None})


def asked(fake_peer: FakePeer) -> list[str]:
    return [received.path for received in fake_peer.requests]


@pytest.mark.rfc(8414, "3.1")
def test_the_well_known_part_is_put_in_before_it_is_appended() -> None:
    assert metadata_urls("https://as.example/tenant/1") == [
        "https://as.example/.well-known/oauth-authorization-server/tenant/1",
        "https://as.example/tenant/1/.well-known/oauth-authorization-server",
        "https://as.example/tenant/1/.well-known/openid-configuration",
        "https://as.example/.well-known/openid-configuration/tenant/1",
    ]


@pytest.mark.rfc(8414, "3.1")
@pytest.mark.parametrize("issuer", ["https://as.example", "https://as.example/"])
def test_an_issuer_without_path_has_one_address_per_name(issuer: str) -> None:
    assert metadata_urls(issuer) == [
        "https://as.example/.well-known/oauth-authorization-server",
        "https://as.example/.well-known/openid-configuration",
    ]


@pytest.mark.rfc(8414, "2")
def test_everything_that_the_document_says(fake_peer: FakePeer) -> None:
    fake_peer.answers[INSERTED] = document(fake_peer)

    found = discover(f"{fake_peer.url}/o")

    assert found == Metadata(
        issuer=f"{fake_peer.url}/o",
        authorization_endpoint=f"{fake_peer.url}/o/authorize/",
        token_endpoint=f"{fake_peer.url}/o/token/",
        revocation_endpoint=f"{fake_peer.url}/o/revoke_token/",
        grant_types=("authorization_code", GRANT_TYPE),
        auth_methods=("client_secret_post",),
        scopes=("play", "history"),
        sends_iss=True,
    )
    assert found.takes_handovers
    assert asked(fake_peer) == [INSERTED]
    assert fake_peer.requests[0].headers["Accept"] == "application/json"


@pytest.mark.rfc(8414, "2")
def test_what_the_document_leaves_out(fake_peer: FakePeer) -> None:
    fake_peer.answers[INSERTED] = document(
        fake_peer,
        revocation_endpoint=None,
        grant_types_supported=None,
        token_endpoint_auth_methods_supported=None,
        scopes_supported=None,
        authorization_response_iss_parameter_supported=None,
    )

    found = discover(f"{fake_peer.url}/o")

    assert found.revocation_endpoint == ""
    assert found.grant_types == ("authorization_code", "implicit")
    assert found.auth_methods == ("client_secret_basic",)
    assert found.scopes == ()
    assert not found.sends_iss
    assert found.userinfo_endpoint == ""
    assert not found.takes_handovers


@pytest.mark.rfc(8414, "2")
def test_the_pages_for_people_are_read(fake_peer: FakePeer) -> None:
    policy, terms = f"{fake_peer.url}/privacy", f"{fake_peer.url}/terms"
    fake_peer.answers[INSERTED] = document(fake_peer, op_policy_uri=policy, op_tos_uri=terms)

    found = discover(f"{fake_peer.url}/o")

    assert (found.policy_uri, found.tos_uri) == (policy, terms)


@pytest.mark.parametrize("given", ["javascript:alert(1)", "http://peer.example/", 7, ""])
def test_a_page_for_people_that_cannot_be_used_is_left_out(
    fake_peer: FakePeer, given: object
) -> None:
    fake_peer.answers[INSERTED] = document(fake_peer, op_policy_uri=given, op_tos_uri=given)

    found = discover(f"{fake_peer.url}/o")

    assert (found.policy_uri, found.tos_uri) == ("", "")


@pytest.mark.rfc(8259, "8.1")
@pytest.mark.threat("T60")
def test_a_byte_order_mark_before_the_document_is_passed_over(fake_peer: FakePeer) -> None:
    with_mark = Reply(200, b"\xef\xbb\xbf" + document(fake_peer).body)
    fake_peer.answers[INSERTED] = with_mark

    assert discover(f"{fake_peer.url}/o").token_endpoint == f"{fake_peer.url}/o/token/"


@pytest.mark.parametrize("path", ALL)
def test_the_document_is_found_wherever_it_stands(fake_peer: FakePeer, path: str) -> None:
    fake_peer.answers[path] = document(fake_peer)

    assert discover(f"{fake_peer.url}/o").token_endpoint == f"{fake_peer.url}/o/token/"
    assert asked(fake_peer) == ALL[: ALL.index(path) + 1]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        (Reply(500), "HTTP 500"),
        (Reply(301, headers={"Location": "/elsewhere"}), "HTTP 301"),
        (Reply(200, b"<html>"), "not JSON"),
        (Reply(200, b"[" * 50_000), "not JSON"),
        (Reply(200, b"\xff"), "not JSON"),
        (Reply(200, b'["issuer"]'), "not a JSON object"),
        (Reply(200, b"{}"), "names no issuer"),
        (Reply(200, b'{"issuer": 7}'), "names no issuer"),
        (Reply(200, b" " * 70_000), "more than"),
    ],
)
def test_a_fault_at_one_address_does_not_end_the_search(
    fake_peer: FakePeer, reply: Reply, why: str
) -> None:
    fake_peer.answers[INSERTED] = reply
    with pytest.raises(BadResponse, match=why):
        discover(f"{fake_peer.url}/o")

    fake_peer.answers[APPENDED] = document(fake_peer)
    assert discover(f"{fake_peer.url}/o").issuer == f"{fake_peer.url}/o"


def test_the_error_says_what_was_wrong_where(fake_peer: FakePeer) -> None:
    fake_peer.answers[APPENDED] = Reply(503)

    with pytest.raises(BadResponse) as raised:
        discover(f"{fake_peer.url}/o")

    assert str(raised.value).splitlines() == [
        f"No metadata of {fake_peer.url}/o can be used.",
        f"{fake_peer.url}{INSERTED}: HTTP 404",
        f"{fake_peer.url}{APPENDED}: HTTP 503",
        f"{fake_peer.url}{OPENID_APPENDED}: HTTP 404",
        f"{fake_peer.url}{OPENID_INSERTED}: HTTP 404",
    ]


@pytest.mark.rfc(8414, "3.3")
@pytest.mark.threat("H4")
@pytest.mark.parametrize("other", ["https://evil.example/o", "/o", "", "{url}/o/", "{url}/O"])
def test_the_metadata_of_another_issuer_is_not_used(fake_peer: FakePeer, other: str) -> None:
    fake_peer.answers[INSERTED] = document(fake_peer, issuer=other.format(url=fake_peer.url))

    with pytest.raises(BadResponse, match="another issuer"):
        discover(f"{fake_peer.url}/o")


@pytest.mark.threat("H4")
@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("value", [None, "", 7, ["https://as.example/"]])
def test_an_endpoint_is_missing(fake_peer: FakePeer, name: str, value: object) -> None:
    fake_peer.answers[INSERTED] = document(fake_peer, **{name: value})

    with pytest.raises(BadResponse, match=f"names no {name}"):
        discover(f"{fake_peer.url}/o")


@pytest.mark.threat("H3")
@pytest.mark.parametrize(
    "name", ["authorization_endpoint", "token_endpoint", "revocation_endpoint"]
)
@pytest.mark.parametrize(
    "url",
    [
        "http://as.example/token",
        "javascript:alert(1)",
        "https://user:pass@as.example/token",
        "https://as.example/token#part",
        "https://as.example:0/token",
        "https://as.example\\@evil.example/",
    ],
)
def test_an_endpoint_that_is_never_called(fake_peer: FakePeer, name: str, url: str) -> None:
    fake_peer.answers[INSERTED] = document(fake_peer, **{name: url})

    with pytest.raises(BadResponse, match=f"its {name} cannot be used"):
        discover(f"{fake_peer.url}/o")


@pytest.mark.parametrize(
    "issuer",
    [
        "peer.example",
        "http://peer.example/o",
        "https://peer.example/o#x",
        "https://peer.example/o?tenant=1",
        "https://peer.example/.well-known/oauth-authorization-server/o",
    ],
)
def test_no_issuer_identifier(issuer: str) -> None:
    with pytest.raises(AddressRefused):
        discover(issuer)


@pytest.mark.threat("H1")
@override_settings(RECIPROCAL_OAUTH={"HTTP_ALLOW_LOOPBACK": False})
def test_the_search_uses_the_http_client(fake_peer: FakePeer) -> None:
    with pytest.raises(AddressRefused):
        discover(fake_peer.url.replace("http://", "https://"))

    assert fake_peer.requests == []


def test_a_peer_that_is_not_there_is_asked_once(fake_peer: FakePeer) -> None:
    url = fake_peer.url
    fake_peer.stop()

    with pytest.raises(PeerUnreachable):
        discover(f"{url}/o")


def test_lists_keep_their_strings_only(fake_peer: FakePeer) -> None:
    fake_peer.answers[INSERTED] = document(
        fake_peer,
        scopes_supported=["play", 7, None, {"a": 1}, "", "a b", "x\u202e", "line\nbreak"],
        grant_types_supported="authorization_code",
    )

    found = discover(f"{fake_peer.url}/o")

    assert found.scopes == ("play",)
    assert found.grant_types == ("authorization_code", "implicit")


def test_an_issuer_in_the_response_cannot_spoil_a_terminal(fake_peer: FakePeer) -> None:
    body = json.dumps({"issuer": "https://x/\x1b[2J"}).encode()
    fake_peer.answers[INSERTED] = Reply(200, body)

    with pytest.raises(BadResponse) as raised:
        discover(f"{fake_peer.url}/o")

    assert "\x1b" not in str(raised.value)


@pytest.mark.rfc("OpenID Connect Discovery 1.0", "3")
@pytest.mark.parametrize("where", [OPENID_APPENDED, OPENID_INSERTED])
def test_the_userinfo_endpoint_is_looked_for_in_the_openid_document_as_well(
    fake_peer: FakePeer, where: str
) -> None:
    url = f"{fake_peer.url}/o/userinfo/"
    fake_peer.answers[INSERTED] = document(fake_peer, scopes_supported=["openid", "play"])
    fake_peer.answers[where] = document(fake_peer, userinfo_endpoint=url)

    assert discover(f"{fake_peer.url}/o").userinfo_endpoint == url


@pytest.mark.parametrize(
    "other",
    [
        {"issuer": "https://evil.example/o", "userinfo_endpoint": "https://evil.example/"},
        {"userinfo_endpoint": "http://peer.example/"},
        {"userinfo_endpoint": 7},
        {"userinfo_endpoint": "https://peer.example/", "token_endpoint": None},
    ],
)
def test_a_userinfo_endpoint_that_cannot_be_used_is_none_and_no_fault(
    fake_peer: FakePeer, other: dict[str, Any]
) -> None:
    fake_peer.answers[INSERTED] = document(fake_peer, scopes_supported=["openid"])
    fake_peer.answers[OPENID_APPENDED] = document(fake_peer, **other)

    found = discover(f"{fake_peer.url}/o")

    assert found.userinfo_endpoint == ""
    assert found.token_endpoint == f"{fake_peer.url}/o/token/"


def test_a_userinfo_endpoint_in_the_first_document_is_taken_without_another_request(
    fake_peer: FakePeer,
) -> None:
    url = "https://users.peer.example/"
    fake_peer.answers[INSERTED] = document(
        fake_peer, scopes_supported=["openid"], userinfo_endpoint=url
    )

    assert discover(f"{fake_peer.url}/o").userinfo_endpoint == url
    assert asked(fake_peer) == [INSERTED]


@pytest.mark.rfc(8414, "2")
def test_what_a_peer_says_about_keys_and_registration(fake_peer: FakePeer) -> None:
    fake_peer.answers[INSERTED] = document(
        fake_peer,
        token_endpoint_auth_signing_alg_values_supported=["ES256", 7, "RS256"],
        jwks_uri="https://peer.example/o/.well-known/jwks.json",
        registration_endpoint="https://peer.example/o/register/",
        reciprocal_registration_endpoint="https://peer.example/o/reciprocal/register/",
    )

    found = discover(f"{fake_peer.url}/o")

    assert found.auth_signing_algs == ("ES256", "RS256")
    assert found.jwks_uri == "https://peer.example/o/.well-known/jwks.json"
    assert found.registration_endpoint == "https://peer.example/o/register/"
    assert found.reciprocal_registration_endpoint == "https://peer.example/o/reciprocal/register/"


@pytest.mark.threat("H3")
@pytest.mark.parametrize(
    "name", ["jwks_uri", "registration_endpoint", "reciprocal_registration_endpoint"]
)
@pytest.mark.parametrize("url", ["http://peer.example/", "https://u@peer.example/", "", 7, ["a"]])
def test_an_optional_address_that_cannot_be_used_is_none_and_no_fault(
    fake_peer: FakePeer, name: str, url: object
) -> None:
    fake_peer.answers[INSERTED] = document(fake_peer, **{name: url})

    assert getattr(discover(f"{fake_peer.url}/o"), name) == ""


def described(fake_peer: FakePeer, descriptions: object, **changes: Any) -> Any:
    fake_peer.answers[INSERTED] = document(
        fake_peer, reciprocal_scope_descriptions=descriptions, **changes
    )
    return discover(f"{fake_peer.url}/o").scope_descriptions


@pytest.mark.rfc(7591, "2.2")
def test_a_peer_describes_its_scopes_in_several_languages(fake_peer: FakePeer) -> None:
    found = described(
        fake_peer,
        {"play": "Play music", "play#de": "Musik spielen", "play#de-AT": "Spün", "history": "Log"},
    )

    assert found == {
        "play": {"": "Play music", "de": "Musik spielen", "de-at": "Spün"},
        "history": {"": "Log"},
    }


@pytest.mark.rfc(6749, "3.3")
def test_a_scope_can_contain_the_mark_of_a_language(fake_peer: FakePeer) -> None:
    found = described(
        fake_peer, {"a#b": "One", "a#de": "Two", "a#1": "Three"}, scopes_supported=["a#b", "a#de"]
    )

    assert found == {"a#b": {"": "One"}, "a#de": {"": "Two"}, "a#1": {"": "Three"}}


@pytest.mark.threat("H3")
def test_a_description_holds_no_invisible_characters_and_has_an_end(fake_peer: FakePeer) -> None:
    found = described(
        fake_peer, {"play": " a\u202eb\x1b[2J\r\nc\u2028d\u200b ", "history": "x" * 5000}
    )

    assert found == {"play": {"": "ab[2J c d"}, "history": {"": "x" * 200}}


@pytest.mark.threat("H3")
def test_no_more_descriptions_are_kept_than_people_can_read(fake_peer: FakePeer) -> None:
    languages = {f"play#a{chr(97 + number)}": "text" for number in range(20)}
    found = described(fake_peer, languages | {f"s{number}": "text" for number in range(200)})

    assert len(found) == 100
    assert len(found["play"]) == 10


@pytest.mark.threat("H3")
@pytest.mark.parametrize(
    "value", [None, [], "play", {"play": 7}, {"": "a"}, {"two words": "a"}, {"play": "\u202e"}]
)
def test_descriptions_of_another_form_are_none(fake_peer: FakePeer, value: object) -> None:
    assert described(fake_peer, value) == {}
