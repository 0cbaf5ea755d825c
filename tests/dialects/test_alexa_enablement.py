"""A person starts at this site: Login with Amazon, then the enablement of the skill with a code of
this site, which Alexa redeems before it responds."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import pytest
from django.test import Client

from reciprocal_oauth.delivery import worker
from reciprocal_oauth.dialects import dialect_of
from reciprocal_oauth.dialects.alexa import AlexaDialect
from reciprocal_oauth.dialects.alexa_enablement import HOSTS
from reciprocal_oauth.exceptions import AddressRefused
from reciprocal_oauth.models import InboxItem, Link, OutboxItem, Peer, Reason
from reciprocal_oauth.models.results import Accepted, Failed, Retry, StaleToken
from reciprocal_oauth.party_a import consent, scope_changes
from reciprocal_oauth.secret import Secret

from ..alexa import ENABLEMENT, LWA_TOKENS, accept_grant, make_alexa
from ..conftest import PEER_SECRET, basic, post_form
from ..fakes import FakePeer, Received, Reply
from ..party_a.visits import ALLOW_ALL, begin, fill_in

CODE, TOKEN = Secret("code-of-this-site"), Secret("Atza|token-of-amazon")
REDIRECT_URIS = [
    f"https://{host}/api/skill/link/M0EXAMPLE0000"
    for host in ("layla.amazon.com", "pitangui.amazon.com", "alexa.amazon.co.jp")
]
#: What the login page of Amazon leads to.
LINKING = Reply.json(
    access_token="Atza|linking",
    token_type="bearer",
    expires_in=3600,
    refresh_token="Atzr|linking",
)


@pytest.fixture
def peer(make_peer: Callable[..., Peer], fake_peer: FakePeer) -> Peer:
    peer = make_alexa(
        make_peer,
        fake_peer.url,
        authorization_endpoint="https://www.amazon.com/ap/oa",
        reciprocal_endpoint=f"{fake_peer.url}{ENABLEMENT}",
        scope="alexa::skills:account_linking",
        preconfigured_scope="profile playback",
    )
    peer.application.redirect_uris = " ".join(REDIRECT_URIS)
    peer.application.save()
    return peer


#: A key that decrypts nothing that is stored.
KEY = "A" * 43 + "="


class Alexa:
    """Plays Alexa: it redeems the code of an enablement, forwards AcceptGrant, and responds."""

    def __init__(self, fake_peer: FakePeer) -> None:
        self.fake_peer = fake_peer
        self.authenticates_with = "basic"
        self.sends_events = True
        self.redirect_uri: str | None = None
        self.redeemed: Any = None
        self.accepted: Any = None
        fake_peer.answers["/token/"] = [LINKING, LWA_TOKENS]
        fake_peer.answers[ENABLEMENT] = self.enable

    def enable(self, request: Received) -> Reply:
        asked = json.loads(request.body)["accountLinkRequest"]
        self.redeemed = self.redeem(asked["authCode"], self.redirect_uri or asked["redirectUri"])
        if self.redeemed.status_code != 200:
            return Reply.json(400, message="Invalid account linking credentials")
        if self.sends_events:
            token = self.redeemed.json()["access_token"]
            self.accepted = Client().post(
                "/connections/handover/alexa/",
                accept_grant(token),
                content_type="application/json",
                headers={**basic("alexa-here", PEER_SECRET), "X-Alexa-Region": "EU"},
            )
        return Reply.json(201, status="LINKED")

    def redeem(self, code: str, redirect_uri: str) -> Any:
        form = {"grant_type": "authorization_code", "code": code, "redirect_uri": redirect_uri}
        if self.authenticates_with == "basic":
            return post_form(Client(), form, basic("alexa-here", PEER_SECRET))
        ids = {"client_id": "alexa-here", "client_secret": PEER_SECRET}
        return post_form(Client(), {**form, **ids}, {})


@pytest.fixture
def alexa(peer: Peer, fake_peer: FakePeer, shared_database: None) -> Alexa:
    return Alexa(fake_peer)


def start_here(browser: Client) -> None:
    """alice presses "Connect", logs in at Amazon, comes back, and allows what Alexa may do here."""
    question = begin(browser, "alexa").come_back()["Location"]
    fill_in(browser, question, ALLOW_ALL)
    worker.drain()


@pytest.mark.django_db(transaction=True)
class TestAPersonWhoStartsHere:
    def test_goes_to_amazon_with_pkce_and_the_scope_for_account_linking(
        self, alexa: Alexa, browser: Client
    ) -> None:
        visit = begin(browser, "alexa")

        assert visit.url.startswith("https://www.amazon.com/ap/oa?")
        assert visit.asked["scope"] == "alexa::skills:account_linking"
        assert visit.asked["client_id"] == "us-at-alexa"
        assert visit.asked["code_challenge_method"] == "S256"
        visit.come_back()
        (request,) = alexa.fake_peer.to("/token/")
        assert request.form["redirect_uri"] == visit.asked["redirect_uri"]
        assert request.form["client_secret"] == "our-secret-at-the-peer"

    def test_the_skill_is_enabled_with_one_request(self, alexa: Alexa, browser: Client) -> None:
        start_here(browser)

        (request,) = alexa.fake_peer.to(ENABLEMENT)
        assert request.method == "POST"
        assert request.headers["Authorization"] == "Bearer Atza|linking"
        members = json.loads(request.body)
        code = members["accountLinkRequest"].pop("authCode")
        assert members == {
            "stage": "live",
            "accountLinkRequest": {"redirectUri": REDIRECT_URIS[0], "type": "AUTH_CODE"},
        }
        assert len(code) > 20
        assert "our-secret" not in str(request)

    @pytest.mark.parametrize("how", ["basic", "body"])
    @pytest.mark.parametrize("redirect_uri", REDIRECT_URIS)
    def test_alexa_redeems_the_code_with_any_of_its_redirect_uris(
        self, alexa: Alexa, browser: Client, how: str, redirect_uri: str
    ) -> None:
        alexa.authenticates_with, alexa.redirect_uri = how, redirect_uri
        start_here(browser)

        assert alexa.redeemed.status_code == 200
        assert alexa.redeemed.json()["scope"] == "profile playback"
        link = Link.objects.get()
        assert link.is_two_way
        assert OutboxItem.objects.get().state == "done"

    def test_another_redirect_uri_is_refused_and_the_person_sees_a_failure(
        self, alexa: Alexa, browser: Client
    ) -> None:
        alexa.redirect_uri = "https://layla.amazon.com/api/skill/link/M0SOMEBODYELSE"
        start_here(browser)

        assert alexa.redeemed.json()["error"] == "invalid_grant"
        link, item = Link.objects.get(), OutboxItem.objects.get()
        assert (link.incoming_state, link.incoming_reason) == ("broken", "handover_refused")
        assert (item.state, item.last_error) == ("failed", "HTTP 400")
        assert len(alexa.fake_peer.to(ENABLEMENT)) == 1

    def test_the_tokens_for_events_replace_those_of_the_enablement_in_one_link(
        self, alexa: Alexa, browser: Client
    ) -> None:
        start_here(browser)

        assert alexa.accepted.json()["event"]["header"]["name"] == "AcceptGrant.Response"
        link = Link.objects.get()
        assert link.access_token.reveal() == "Atza|token-of-amazon"
        assert link.refresh_token.reveal() == "Atzr|refresh-of-amazon"
        assert link.is_two_way
        assert link.data == {"origin": "directive", "region": "EU"}
        assert InboxItem.objects.get().state == "done"

    def test_a_skill_without_events_keeps_the_tokens_of_the_enablement(
        self, alexa: Alexa, browser: Client
    ) -> None:
        alexa.sends_events = False
        start_here(browser)

        link = Link.objects.get()
        assert link.access_token.reveal() == "Atza|linking"
        assert link.is_two_way


@pytest.mark.django_db(transaction=True)
class TestANewCodeLater:
    def test_tokens_for_events_send_no_code_so_scopes_can_only_be_removed(
        self, alexa: Alexa, browser: Client
    ) -> None:
        start_here(browser)
        link = Link.objects.get()

        assert scope_changes.choices(link) == [
            ("profile", "See your name"),
            ("playback", "Control what is playing"),
        ]
        scope_changes.change(link, ["profile"])
        worker.drain()

        assert link.incoming_state == "active"
        assert link.incoming_scope == "profile"
        assert len(alexa.fake_peer.to(ENABLEMENT)) == 1
        with pytest.raises(scope_changes.CannotChange):
            scope_changes.change(link, ["profile", "playback"])

    def test_tokens_of_the_enablement_send_a_new_code(self, alexa: Alexa, browser: Client) -> None:
        alexa.sends_events = False
        start_here(browser)
        scope_changes.change(Link.objects.get(), ["profile"])
        OutboxItem.objects.update(next_attempt_at="2026-01-01T00:00Z")
        worker.drain()

        assert len(alexa.fake_peer.to(ENABLEMENT)) == 2
        assert alexa.redeemed.json()["scope"] == "profile"

    def test_a_code_that_is_already_waiting_fails_without_a_request(
        self, alexa: Alexa, browser: Client
    ) -> None:
        question = begin(browser, "alexa").come_back()["Location"]
        fill_in(browser, question, ALLOW_ALL)
        link = Link.objects.get()
        link.peer_data = Secret('{"origin": "directive"}')
        link.save()
        worker.drain()

        link.refresh_from_db()
        assert (link.incoming_state, link.incoming_reason) == ("broken", "handover_refused")
        assert OutboxItem.objects.get().state == "failed"
        assert alexa.fake_peer.to(ENABLEMENT) == []
        assert not consent.can_answer(link)

    def test_starting_here_again_makes_a_new_code_possible(
        self, alexa: Alexa, browser: Client
    ) -> None:
        start_here(browser)
        alexa.fake_peer.answers["/token/"] = [LINKING, LWA_TOKENS]
        start_here(browser)

        assert Link.objects.get(status="active").is_two_way
        assert len(alexa.fake_peer.to(ENABLEMENT)) == 2

    def test_an_unreadable_key_does_not_break_the_page(
        self, alexa: Alexa, browser: Client, settings: Any
    ) -> None:
        start_here(browser)
        settings.RECIPROCAL_OAUTH = {**settings.RECIPROCAL_OAUTH, "ENCRYPTION_KEYS": [KEY]}

        assert browser.get("/connections/").status_code == 200


@pytest.mark.parametrize(
    ("status", "body", "expected"),
    [
        (201, b"", Accepted),
        (201, b'{"skill": {"stage": "live"}, "status": "ENABLED"}', Accepted),
        (200, b"<html>", Accepted),
        (302, b"", Retry),
        (400, b'{"message": "Invalid account linking credentials"}', Failed),
        (400, b"", Failed),
        (401, b'{"message": "Unauthorized"}', StaleToken),
        (403, b'{"message": "Forbidden"}', Failed),
        (404, b'{"message": "Skill not found"}', Failed),
        (409, b"", Failed),
        (410, b"", Failed),
        (429, b"", Retry),
        (500, b"<html>", Retry),
        (503, b"", Retry),
    ],
)
def test_what_each_response_means(
    peer: Peer, fake_peer: FakePeer, status: int, body: bytes, expected: type
) -> None:
    fake_peer.answers[ENABLEMENT] = Reply(status, body, {"Retry-After": "7"})

    result = dialect_of(peer).send(peer, CODE, TOKEN)
    assert type(result) is expected
    if isinstance(result, Retry):
        assert (result.after, result.pauses) == (7, None)
    if isinstance(result, Failed):
        assert (result.reason, result.pauses) == (Reason.HANDOVER_REFUSED, None)
    assert "Forbidden" not in repr(result)
    assert "Invalid" not in repr(result)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize(("status", "requests"), [(401, 2), (403, 1)])
def test_a_token_that_may_not_enable_skills_fails_without_a_loop(
    alexa: Alexa, browser: Client, status: int, requests: int
) -> None:
    alexa.fake_peer.answers[ENABLEMENT] = Reply.json(status, message="no")
    start_here(browser)
    worker.drain()

    item, link = OutboxItem.objects.get(), Link.objects.get()
    assert (item.state, item.reason) == ("failed", "handover_refused")
    assert (link.incoming_state, link.outgoing_state) == ("broken", "active")
    assert len(alexa.fake_peer.to(ENABLEMENT)) == requests


def test_the_stage_is_an_option_of_the_peer(peer: Peer, fake_peer: FakePeer) -> None:
    fake_peer.answers[ENABLEMENT] = Reply(201, b"")
    peer.dialect_options = "stage=development"
    peer.full_clean()
    dialect_of(peer).send(peer, CODE, TOKEN)

    (request,) = fake_peer.to(ENABLEMENT)
    assert json.loads(request.body)["stage"] == "development"


@pytest.mark.parametrize(
    ("values", "can_start", "takes_codes"),
    [
        ({}, True, True),
        ({"authorization_endpoint": ""}, False, True),
        ({"reciprocal_endpoint": ""}, False, False),
        ({"authorization_endpoint": "", "reciprocal_endpoint": ""}, False, False),
    ],
    ids=["both", "no-login", "no-enablement", "neither"],
)
def test_people_can_start_here_only_if_the_skill_can_be_enabled(
    peer: Peer,
    browser: Client,
    values: dict[str, str],
    can_start: bool,
    takes_codes: bool,
) -> None:
    for name, value in values.items():
        setattr(peer, name, value)
    peer.full_clean()

    assert (peer.can_start, peer.supports_reverse) == (can_start, takes_codes)


class TestRegions:
    @pytest.fixture
    def europe(self) -> Any:
        europe = FakePeer()
        europe.answers[ENABLEMENT] = Reply(201, b"")
        yield europe
        europe.stop()

    @pytest.fixture(autouse=True)
    def _hosts(self, monkeypatch: pytest.MonkeyPatch, fake_peer: FakePeer, europe: Any) -> None:
        monkeypatch.setattr(AlexaDialect, "hosts", {"NA": fake_peer.url, "EU": europe.url})
        fake_peer.answers[ENABLEMENT] = Reply(201, b"")

    def test_the_skill_is_enabled_in_the_region_of_the_account(
        self, peer: Peer, fake_peer: FakePeer, europe: FakePeer
    ) -> None:
        host = urlsplit(europe.url).netloc
        fake_peer.answers["/v1/alexaApiEndpoint"] = Reply.json(endpoints=[host])

        assert isinstance(dialect_of(peer).send(peer, CODE, TOKEN), Accepted)
        (question,) = fake_peer.requests
        assert (question.method, question.headers["Authorization"]) == (
            "GET",
            "Bearer Atza|token-of-amazon",
        )
        (request,) = europe.requests
        assert request.path == ENABLEMENT
        assert request.headers["Authorization"] == "Bearer Atza|token-of-amazon"

    @pytest.mark.parametrize(
        "answer",
        [
            Reply.json(endpoints=["evil.example"]),
            Reply.json(endpoints=[]),
            Reply.json(endpoints="evil.example"),
            Reply.json(endpoints=[{"a": 1}, None, 7]),
            Reply.json(endpoints={"evil.example": 1}),
            Reply(200, b"[]"),
            Reply(200, b"<html>"),
            Reply(403, b""),
            Reply(500, b""),
        ],
        ids=["unknown", "none", "text", "odd", "object", "list", "html", "403", "500"],
    )
    def test_without_a_known_host_the_configured_one_is_used(
        self, peer: Peer, fake_peer: FakePeer, europe: FakePeer, answer: Reply
    ) -> None:
        fake_peer.answers["/v1/alexaApiEndpoint"] = answer

        assert isinstance(dialect_of(peer).send(peer, CODE, TOKEN), Accepted)
        assert len(fake_peer.to(ENABLEMENT)) == 1
        assert europe.requests == []

    def test_a_token_is_sent_to_no_host_that_the_secret_was_not_entered_for(
        self, peer: Peer, fake_peer: FakePeer, europe: FakePeer
    ) -> None:
        peer.reciprocal_endpoint = f"{europe.url}{ENABLEMENT}"

        with pytest.raises(AddressRefused):
            dialect_of(peer).send(peer, CODE, TOKEN)
        assert fake_peer.requests == europe.requests == []


def test_the_hosts_are_the_three_of_alexa() -> None:
    assert HOSTS == {
        "NA": "https://api.amazonalexa.com",
        "EU": "https://api.eu.amazonalexa.com",
        "FE": "https://api.fe.amazonalexa.com",
    }
