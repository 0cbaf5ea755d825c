"""The tests of the dialect that the documentation shows as an example."""

from django.http import HttpRequest
from django.test import RequestFactory, TestCase, override_settings

from reciprocal_oauth.models.results import Accepted
from reciprocal_oauth.secret import Secret
from reciprocal_oauth.testing import DialectContract, FakeResponse

from ..conftest import basic

DIALECTS = {"music": "tests.dialects.music_dialect.MusicDialect"}


@override_settings(RECIPROCAL_OAUTH={"DIALECTS": DIALECTS, "DISPATCHER": "none"})
class TestMusicDialect(DialectContract, TestCase):
    dialect_name = "music"
    handover_path = "/partner/codes/"
    accepted = FakeResponse(202, b"")

    def peer_values(self) -> dict[str, str]:
        return {"reciprocal_endpoint": f"{self.fake_peer.url}{self.handover_path}"}

    def handover_request(self, code: str, access_token: str, client_id: str) -> HttpRequest:
        grant = "urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Areciprocal"
        return RequestFactory().post(
            "/o/token/",
            f"grant_type={grant}&code={code}&access_token={access_token}&client_id={client_id}",
            content_type="application/x-www-form-urlencoded",
            headers=basic(client_id, "secret"),
        )

    def test_the_parameters_have_the_names_of_the_music_service(self) -> None:
        self.dialect.send(self.peer, Secret("the-code"), Secret("the-token"))

        (request,) = self.fake_peer.to(self.handover_path)
        self.assertEqual(
            request.form,
            {
                "grant_type": "urn:music:handover",
                "partner_code": "the-code",
                "user_token": "the-token",
            },
        )

    def test_the_same_code_sent_twice_is_accepted(self) -> None:
        self.fake_peer.responses[self.handover_path] = FakeResponse(409, b"")

        result = self.dialect.send(self.peer, Secret("the-code"), Secret("the-token"))

        self.assertEqual(result, Accepted(detail="HTTP 409"))
