"""Events for the event gateway of Alexa, and the preset of Alexa."""

import copy
import json
import logging
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection

from reciprocal_oauth.dialects.alexa import AlexaDialect
from reciprocal_oauth.exceptions import AddressRefused, NotLinked, PeerRefused, PeerUnreachable
from reciprocal_oauth.links import lifecycle
from reciprocal_oauth.models import Link, Peer
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.vendors import preset_of
from reciprocal_oauth.vendors.alexa import send_event

from ..alexa import LWA_REFUSAL, SKILL, make_alexa
from ..fakes import FakePeer, Reply, token_response

GATEWAY = "/v3/events"
NEW_TOKENS = token_response(access_token="Atza|new", refresh_token="Atzr|new")
CHANGE_REPORT = {
    "event": {
        "header": {
            "namespace": "Alexa",
            "name": "ChangeReport",
            "messageId": "01234567-89ab-cdef-0123-456789abcdef",
            "payloadVersion": "3",
        },
        "endpoint": {"endpointId": "lamp-1"},
        "payload": {
            "change": {
                "cause": {"type": "PHYSICAL_INTERACTION"},
                "properties": [{"namespace": "Alexa.PowerController", "name": "powerState"}],
            }
        },
    },
    "context": {"properties": []},
}
ADD_REPORT = {
    "event": {
        "header": {"namespace": "Alexa.Discovery", "name": "AddOrUpdateReport"},
        "payload": {"endpoints": [{"endpointId": "lamp-1"}]},
    }
}


def refusal(status: int, code: str, member: str = "code") -> Reply:
    """An error of the event gateway."""
    return Reply.json(
        status, header={"name": "Exception"}, payload={member: code, "description": "x"}
    )


@pytest.fixture
def fake_peer(fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch) -> FakePeer:
    """Login with Amazon and the gateway of North America."""
    monkeypatch.setattr(AlexaDialect, "hosts", {"NA": fake_peer.url})
    monkeypatch.setattr(AlexaDialect, "token_address", f"{fake_peer.url}/token/")
    fake_peer.answers["/token/"] = NEW_TOKENS
    fake_peer.answers[GATEWAY] = Reply(202, b"")
    return fake_peer


@pytest.fixture
def peer(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    return make_alexa(make_peer, fake_peer.url)


@pytest.fixture
def link(link_as_a: Link) -> Link:
    link_as_a.access_token = Secret("Atza|token-of-amazon")
    link_as_a.bound_to = link_as_a.peer.binding
    link_as_a.save()
    return link_as_a


def test_the_event_is_sent_with_the_token_in_its_scope_and_in_the_header(
    link: Link, fake_peer: FakePeer
) -> None:
    before = copy.deepcopy(CHANGE_REPORT)
    send_event(link, CHANGE_REPORT)

    (request,) = fake_peer.requests
    assert (request.method, request.path) == ("POST", GATEWAY)
    assert request.headers["Authorization"] == "Bearer Atza|token-of-amazon"
    assert request.headers["Content-Type"] == "application/json; charset=utf-8"
    sent = json.loads(request.body)
    scope = sent["event"]["endpoint"].pop("scope")
    assert scope == {"type": "BearerToken", "token": "Atza|token-of-amazon"}
    assert sent == before
    assert before == CHANGE_REPORT  # The token is only in a copy.


def test_an_event_for_no_endpoint_has_the_token_in_its_payload(
    link: Link, fake_peer: FakePeer
) -> None:
    send_event(link, ADD_REPORT)

    payload = json.loads(fake_peer.requests[0].body)["event"]["payload"]
    assert payload["scope"] == {"type": "BearerToken", "token": "Atza|token-of-amazon"}
    assert payload["endpoints"] == [{"endpointId": "lamp-1"}]


def test_other_members_of_the_scope_are_kept(link: Link, fake_peer: FakePeer) -> None:
    event = copy.deepcopy(CHANGE_REPORT)
    event["event"]["endpoint"]["scope"] = {  # type: ignore[index]
        "type": "BearerTokenWithPartition",
        "token": "old",
        "partition": "Room 7",
        "userId": "u",
    }
    send_event(link, event)

    assert json.loads(fake_peer.requests[0].body)["event"]["endpoint"]["scope"] == {
        "type": "BearerTokenWithPartition",
        "token": "Atza|token-of-amazon",
        "partition": "Room 7",
        "userId": "u",
    }


@pytest.mark.parametrize(
    ("data", "options", "region"),
    [
        ("", "", "NA"),
        ("", "region=EU", "EU"),
        ('{"origin": "directive"}', "region=FE", "FE"),
        ('{"origin": "directive", "region": "EU"}', "", "EU"),
        ('{"origin": "directive", "region": "FE"}', "region=EU", "FE"),
    ],
    ids=["default", "option", "option-without-region", "lambda", "lambda-before-option"],
)
def test_the_region_of_the_person_decides_the_address(
    link: Link,
    fake_peer: FakePeer,
    monkeypatch: pytest.MonkeyPatch,
    data: str,
    options: str,
    region: str,
) -> None:
    hosts = {name: f"{fake_peer.url}/{name}" for name in ("NA", "EU", "FE")}
    monkeypatch.setattr(AlexaDialect, "hosts", hosts)
    link.peer_data = Secret(data)
    link.save()
    Peer.objects.update(dialect_options=options)
    fake_peer.answers[f"/{region}{GATEWAY}"] = Reply(202, b"")

    send_event(link, CHANGE_REPORT)
    assert [request.path for request in fake_peer.requests] == [f"/{region}{GATEWAY}"]


def test_a_refused_token_is_refreshed_once(link: Link, fake_peer: FakePeer) -> None:
    fake_peer.answers[GATEWAY] = [
        refusal(401, "INVALID_ACCESS_TOKEN_EXCEPTION"),
        Reply(202, b""),
    ]
    send_event(link, CHANGE_REPORT)

    first, _refresh, second = fake_peer.requests
    assert first.headers["Authorization"] == "Bearer Atza|token-of-amazon"
    assert second.headers["Authorization"] == "Bearer Atza|new"
    assert json.loads(second.body)["event"]["endpoint"]["scope"]["token"] == "Atza|new"


def test_a_token_that_is_refused_again_is_not_refreshed_again(
    link: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers[GATEWAY] = refusal(401, "INVALID_ACCESS_TOKEN_EXCEPTION")

    with pytest.raises(PeerRefused) as caught:
        send_event(link, CHANGE_REPORT)
    assert (caught.value.status, caught.value.error) == (401, "INVALID_ACCESS_TOKEN_EXCEPTION")
    assert len(fake_peer.to("/token/")) == 1
    assert len(fake_peer.to(GATEWAY)) == 2
    assert Link.objects.get().is_active


def test_a_token_that_amazon_no_longer_renews_breaks_the_direction(
    link: Link, fake_peer: FakePeer
) -> None:
    fake_peer.answers[GATEWAY] = refusal(401, "INVALID_ACCESS_TOKEN_EXCEPTION")
    fake_peer.answers["/token/"] = LWA_REFUSAL

    for _ in range(2):
        with pytest.raises(NotLinked):
            send_event(link, CHANGE_REPORT)
    assert Link.objects.get().outgoing_state == "broken"
    assert len(fake_peer.requests) == 2


@pytest.mark.parametrize("member", ["code", "type"])
def test_a_disabled_skill_ends_the_link(link: Link, fake_peer: FakePeer, member: str) -> None:
    fake_peer.answers[GATEWAY] = refusal(403, "SKILL_DISABLED_EXCEPTION", member)

    with pytest.raises(NotLinked):
        send_event(link, CHANGE_REPORT)
    link = Link.objects.get()
    assert (link.status, link.outgoing_reason) == ("ended", "revoked_by_peer")
    assert not link.access_token
    assert not link.outbox.exists()
    with pytest.raises(NotLinked):
        send_event(link, CHANGE_REPORT)
    assert len(fake_peer.requests) == 1


@pytest.mark.django_db(transaction=True)
def test_the_skill_was_enabled_again_meanwhile(
    shared_database: None, link: Link, fake_peer: FakePeer
) -> None:
    def enabled_again(request: Any) -> Reply:
        newer = Link.objects.get()
        newer.access_token = Secret("Atza|newer")
        newer.save()
        connection.close()
        return refusal(403, "SKILL_DISABLED_EXCEPTION")

    fake_peer.answers[GATEWAY] = enabled_again
    with pytest.raises(PeerRefused):
        send_event(link, CHANGE_REPORT)
    assert Link.objects.get().is_active


@pytest.mark.parametrize(
    ("answer", "error", "may_pass"),
    [
        (refusal(400, "INVALID_REQUEST_EXCEPTION"), "INVALID_REQUEST_EXCEPTION", False),
        (refusal(403, "SKILL_NEVER_ENABLED_EXCEPTION"), "SKILL_NEVER_ENABLED_EXCEPTION", False),
        (
            refusal(403, "INSUFFICIENT_PERMISSION_EXCEPTION"),
            "INSUFFICIENT_PERMISSION_EXCEPTION",
            False,
        ),
        (refusal(404, "SKILL_NOT_FOUND_EXCEPTION"), "SKILL_NOT_FOUND_EXCEPTION", False),
        (refusal(500, "SKILL_DISABLED_EXCEPTION"), "SKILL_DISABLED_EXCEPTION", True),
        (refusal(429, "THROTTLING_EXCEPTION"), "THROTTLING_EXCEPTION", True),
        (refusal(503, "SERVICE_UNAVAILABLE_EXCEPTION"), "SERVICE_UNAVAILABLE_EXCEPTION", True),
        (Reply(403, b"<html>SKILL_DISABLED_EXCEPTION"), "", False),
        (Reply.json(403, payload="x"), "", False),
        (refusal(403, "Atza|token-of-amazon"), "", False),
        (Reply(302, b""), "", False),
    ],
    ids=lambda value: str(getattr(value, "status", value)),
)
def test_any_other_refusal_is_raised_and_the_link_stays(
    link: Link, fake_peer: FakePeer, answer: Reply, error: str, may_pass: bool
) -> None:
    fake_peer.answers[GATEWAY] = answer

    with pytest.raises(PeerRefused) as caught:
        send_event(link, CHANGE_REPORT)
    refused = caught.value
    assert (refused.status, refused.error, refused.may_pass) == (answer.status, error, may_pass)
    assert "Atza" not in str(refused)
    assert Link.objects.get().is_active


def test_a_gateway_that_does_not_listen_is_unreachable(
    link: Link, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AlexaDialect, "hosts", {"NA": "http://127.0.0.1:9"})

    with pytest.raises(PeerUnreachable):
        send_event(link, CHANGE_REPORT)


def test_a_token_of_another_token_endpoint_is_not_sent_to_alexa(
    link: Link, fake_peer: FakePeer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(AlexaDialect, "token_address", "https://api.amazon.com/auth/o2/token")

    with pytest.raises(AddressRefused):
        send_event(link, CHANGE_REPORT)
    assert fake_peer.requests == []


def test_a_link_with_another_vendor_gets_no_events(link: Link, fake_peer: FakePeer) -> None:
    Peer.objects.update(dialect="ietf")

    with pytest.raises(NotLinked):
        send_event(link, CHANGE_REPORT)
    assert fake_peer.requests == []


def test_an_ended_link_gets_no_events(link: Link, fake_peer: FakePeer) -> None:
    lifecycle.end_link(link, Link.Reason.REVOKED_HERE, revoke_outgoing=False)

    with pytest.raises(NotLinked):
        send_event(link, CHANGE_REPORT)
    assert fake_peer.requests == []


def test_nothing_secret_is_logged(link: Link, fake_peer: FakePeer, caplog: Any) -> None:
    caplog.set_level(logging.DEBUG)
    fake_peer.answers[GATEWAY] = [
        refusal(401, "INVALID_ACCESS_TOKEN_EXCEPTION"),
        refusal(403, "SKILL_DISABLED_EXCEPTION"),
    ]
    with pytest.raises(NotLinked):
        send_event(link, CHANGE_REPORT)

    assert "Atz" not in caplog.text


class TestThePreset:
    @pytest.mark.parametrize(
        ("name", "value", "is_right"),
        [
            ("client_id", "amzn1.application-oa2-client." + "0a" * 16, True),
            ("client_id", SKILL, False),
            ("client_secret", "0a" * 32, True),
            ("client_secret", "amzn1.oa2-cs.v1." + "0a" * 32, True),
            ("client_secret", "", False),
            ("skill_id", SKILL, True),
            ("skill_id", f"{SKILL}/../..", False),
            ("skill_id", "amzn1.application-oa2-client." + "0a" * 16, False),
            ("vendor_id", "MFERJAF7R6NLZ", True),
            ("vendor_id", "M2ZMQNS2VXCBTQ", True),
            ("vendor_id", "https://layla.amazon.com/api/skill/link/M2ZMQNS2VXCBTQ", False),
            ("stage", "live", True),
            ("stage", "LIVE", False),
        ],
    )
    def test_a_value_of_another_field_is_noticed(
        self, name: str, value: str, is_right: bool
    ) -> None:
        (question,) = [each for each in self.preset.questions if each.name == name]
        assert question.accepts(value) is is_right

    def test_the_examples_have_the_right_form(self) -> None:
        assert all(question.accepts(question.example) for question in self.preset.questions)

    def test_a_peer_with_these_values_is_valid(
        self, db: None, make_peer: Callable[..., Peer]
    ) -> None:
        answers = {each.name: each.example for each in self.preset.questions}
        values = {name: str(value).format(**answers) for name, value in self.preset.values.items()}
        peer = make_alexa(make_peer, "http://127.0.0.1:9", **values)
        uris = [uri.format(**answers) for uri in self.preset.redirect_uris]
        peer.application.redirect_uris = " ".join(uris)
        peer.application.full_clean()

        assert (peer.can_start, peer.supports_reverse) == (True, True)
        assert peer.token_endpoint == "https://api.amazon.com/auth/o2/token"
        assert peer.options == {"stage": "development"}
        assert uris[0] == "https://layla.amazon.com/api/skill/link/M0EXAMPLE0000"

    @property
    def preset(self) -> Any:
        return preset_of("alexa")
