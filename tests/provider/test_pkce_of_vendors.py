"""Some vendors use no PKCE (RFC 7636) when they link an account."""

from typing import Any

import pytest
from django.test import Client

from reciprocal_oauth.models import Peer

from .authorization import allow, ask, code_in, error_in, exchange

VENDORS = ["google", "sber", "smartthings", "yandex"]
WITHOUT = {"code_challenge": "", "code_challenge_method": ""}


@pytest.fixture
def application(peer: Peer, dialect: str) -> Any:
    Peer.objects.filter(pk=peer.pk).update(dialect=dialect)
    return peer.application


@pytest.mark.rfc("7636", "4.3")
@pytest.mark.parametrize("dialect", VENDORS)
def test_they_get_tokens_without_it(browser: Client, application: Any) -> None:
    code = code_in(allow(browser, application, **WITHOUT))

    assert exchange(application, code, code_verifier="").status_code == 200


@pytest.mark.rfc("7636", "4.4.1")
@pytest.mark.parametrize("dialect", ["alexa", "ietf"])
def test_others_do_not(browser: Client, application: Any) -> None:
    assert error_in(ask(browser, application, **WITHOUT)["Location"]) == "invalid_request"


@pytest.mark.rfc("7636", "4.6")
@pytest.mark.parametrize("dialect", VENDORS)
@pytest.mark.parametrize("verifier", ["", "another-" * 6], ids=["none", "wrong"])
def test_a_challenge_that_they_send_is_checked(
    browser: Client, application: Any, verifier: str
) -> None:
    code = code_in(allow(browser, application))

    response = exchange(application, code, code_verifier=verifier)
    assert (response.status_code, response.json()["error"]) in [
        (400, "invalid_grant"),
        (400, "invalid_request"),
    ]
