"""The contract of dialects notices what it is there to notice."""

import unittest
from typing import Any

import pytest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import RequestFactory, TestCase, override_settings
from django.utils import timezone

from reciprocal_oauth.client import token_endpoint
from reciprocal_oauth.client.token_endpoint import TokenResponse
from reciprocal_oauth.dialects import json_body
from reciprocal_oauth.dialects.base import Endpoint, Handover, Notice, Trust, UnlinkNotice
from reciprocal_oauth.dialects.form import FORM_TYPE
from reciprocal_oauth.dialects.ietf import IETFDialect
from reciprocal_oauth.exceptions import AddressRefused, Cause, HandoverRefused
from reciprocal_oauth.models import Peer, Reason
from reciprocal_oauth.models.results import Failed, HandoverResult
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.testing import DialectContract, FakeResponse

pytestmark = pytest.mark.django_db
JSON = "application/json"


class JSONDialect(IETFDialect):
    """Differs from the draft in all that the contract has a hook for: JSON to an address of its
    own, errors with status 200, values beside the code, notices; and it takes no codes."""

    endpoint = Endpoint.OWN

    @classmethod
    def takes_codes(cls, peer: Any) -> bool:
        return False

    def recognise(self, request: HttpRequest) -> bool:
        return json_body.peek(request).get("kind") == "code"

    def parse(self, request: HttpRequest) -> Handover:
        members = json_body.read(request)
        if members.get("kind") != "code":
            raise json_body.malformed("another kind")
        return Handover(
            code=json_body.secret(members, "code"),
            access_token=json_body.secret(members, "token"),
            our_client_id=json_body.text(members, "ours"),
            trust=Trust.BEARER,
            data={"address": json_body.text(members, "address")},
        )

    def notice(self, request: HttpRequest) -> Notice | None:
        members = json_body.peek(request)
        if members.get("kind") == "gone":
            return UnlinkNotice(json_body.secret(members, "token"))
        return None

    def success(self, request: HttpRequest) -> HttpResponse:
        return JsonResponse({"said": "yes"}, headers={"Cache-Control": "no-store"})

    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        members = {"said": "no", "why": refused.cause.name}
        return JsonResponse(members, headers={"Cache-Control": "no-store"})

    def send(self, peer: Peer, code: Secret, access_token: Secret) -> HandoverResult:
        return Failed("not possible", Reason.NO_REVERSE)

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        return self._ask(peer, code=code.reveal())

    def refresh(self, peer: Peer, refresh_token: Secret) -> TokenResponse:
        return self._ask(peer, again=refresh_token.reveal())

    def _ask(self, peer: Peer, **members: str) -> TokenResponse:
        sent_at = timezone.now()
        response = token_endpoint.post_json(peer, self.data["address"], members)
        if not response.is_success:
            raise token_endpoint.refusal(response)
        found = token_endpoint.members_of(response.body)
        renamed = {"access_token": found.get("accessToken"), "refresh_token": found.get("again")}
        return token_endpoint.tokens_in(renamed, peer, sent_at)


class NoCodesDialect(JSONDialect):
    """Sends notices alone."""

    sends_codes = False

    def recognise(self, request: HttpRequest) -> bool:
        return False

    def parse(self, request: HttpRequest) -> Handover:
        raise json_body.malformed("no codes come")

    def redeem(self, peer: Peer, code: Secret) -> TokenResponse:
        raise AddressRefused("not possible")

    refresh = redeem

    def revoke(self, peer: Peer, token: Secret) -> Failed:
        return Failed("not possible", Reason.TOKEN_REFUSED)


class Telling(JSONDialect):
    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        members = {"said": "no", "why": str(refused)}
        return JsonResponse(members, headers={"Cache-Control": "no-store"})


class Lying(JSONDialect):
    def error(self, refused: HandoverRefused, request: HttpRequest) -> HttpResponse:
        if refused.cause is Cause.BUSY:
            return self.success(request)
        return super().error(refused, request)


class Greedy(JSONDialect):
    def recognise(self, request: HttpRequest) -> bool:
        request.read(1)
        return super().recognise(request)


class Trusting(JSONDialect):
    """Leaves it to ``recognise`` to look at the kind."""

    def parse(self, request: HttpRequest) -> Handover:
        members = json_body.peek(request)
        token = Secret(str(members.get("token")))
        return Handover(Secret(str(members.get("code"))), token, trust=Trust.BEARER)


class Repeating(JSONDialect):
    def acknowledge(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(request.body, headers={"Cache-Control": "no-store"})


class Cacheable(JSONDialect):
    def acknowledge(self, request: HttpRequest) -> HttpResponse:
        return HttpResponse(b"{}")


class Sending(JSONDialect):
    send = IETFDialect.send


class Asking(NoCodesDialect):
    redeem = IETFDialect.redeem


ALL = (JSONDialect, NoCodesDialect, Telling, Lying, Greedy, Trusting, Repeating, Cacheable, Sending,
       Asking)  # fmt: skip
DIALECTS = {each.__name__.lower(): f"{__name__}.{each.__name__}" for each in ALL}
with_dialects = override_settings(RECIPROCAL_OAUTH={"DIALECTS": DIALECTS, "DISPATCHER": "none"})


class _Contract(DialectContract):
    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        members = {"kind": "code", "code": code, "token": access_token, "ours": self.peer.client_id}
        return RequestFactory().post("/", {**members, **self.handover_data()}, JSON)

    def notice_request(self, access_token: str) -> HttpRequest:
        return RequestFactory().post("/", {"kind": "gone", "token": access_token}, JSON)

    def handover_data(self) -> dict[str, str]:
        return {"address": f"{self.fake_peer.url}{self.token_path}"}

    def token_response(self, tokens: Any) -> FakeResponse:
        return FakeResponse.json(accessToken=tokens["access_token"], again=tokens["refresh_token"])

    def is_success(self, response: HttpResponse) -> bool:
        return b'"no"' not in response.content


@with_dialects
class TestJSONDialect(_Contract, TestCase):
    dialect_name = "jsondialect"


@with_dialects
class TestNoCodesDialect(_Contract, TestCase):
    dialect_name = "nocodesdialect"


@pytest.mark.parametrize(
    ("dialect", "test"),
    [
        (Telling, "test_a_refusal_does_not_tell_its_reason"),
        (Lying, "test_a_refusal_while_this_site_takes_no_codes_is_no_success"),
        (Greedy, "test_the_body_stays_readable"),
        (Trusting, "test_an_odd_request_raises_nothing_but_a_refusal"),
        (Trusting, "test_an_ordinary_token_request_is_not_recognised"),
        (Trusting, "test_a_notice_is_read"),
        (Repeating, "test_the_response_to_a_notice_is_a_2xx_that_no_cache_stores"),
        (Cacheable, "test_the_response_to_a_notice_is_a_2xx_that_no_cache_stores"),
        (Sending, "test_a_peer_that_takes_no_codes_gets_none"),
        (Asking, "test_a_peer_that_sends_no_codes_gets_no_token_requests"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_a_dialect_that_breaks_a_rule_is_found(dialect: type, test: str) -> None:
    broken = type("Broken", (_Contract, TestCase), {"dialect_name": dialect.__name__.lower()})

    result = unittest.TestResult()
    with_dialects(broken)(test).run(result)

    assert not result.wasSuccessful()


def test_a_form_is_no_message_of_it() -> None:
    request = RequestFactory().post("/", "kind=code&code=c&token=t", content_type=FORM_TYPE)

    assert not JSONDialect().recognise(request)
