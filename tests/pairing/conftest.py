"""Fixtures: this site can pair, and another site plays its part."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pytest_django import Settings

from reciprocal_oauth.models import Pairing
from reciprocal_oauth.pairing import accepting, inviting, sending

from .other_site import OUR_ISSUER, OtherSite, code_in, register, terms


@pytest.fixture(autouse=True)
def issuer(settings: Settings) -> str:
    """The issuer of the site under test."""
    settings.OAUTH2_PROVIDER = {
        **settings.OAUTH2_PROVIDER,
        "OIDC_ISS_ENDPOINT": OUR_ISSUER,
        "ALWAYS_RELOAD_OAUTHLIB_CORE": True,
    }
    return OUR_ISSUER


@pytest.fixture
def other() -> Iterator[OtherSite]:
    site = OtherSite()
    yield site
    site.stop()


@pytest.fixture
def thief() -> Iterator[OtherSite]:
    """A site of somebody who has got an invitation that is for another site."""
    site = OtherSite()
    yield site
    site.stop()


@pytest.fixture
def invited(db: None, other: OtherSite) -> tuple[Pairing, str]:
    """An invitation for the other site, and its code."""
    partner = inviting.look_up(other.issuer)
    other.requests.clear()
    pairing, text = inviting.invite(terms(), partner=partner)
    return pairing, code_in(text)


@pytest.fixture
def invited_all(db: None) -> tuple[Pairing, str]:
    """An invitation for whoever has it, and its code."""
    pairing, text = inviting.invite(terms())
    return pairing, code_in(text)


@pytest.fixture
def accepted(db: None, other: OtherSite) -> Pairing:
    """This site has accepted an invitation of the other one. Nothing is sent yet."""
    offer = accepting.look_up(other.invitation())
    other.requests.clear()
    return accepting.accept(offer, terms(asked_scope="play queue"))


@pytest.fixture
def registered(accepted: Pairing, other: OtherSite) -> Pairing:
    """This site is registered at the other one, which has not registered here yet."""
    sending.send(accepted)
    assert accepted.state == Pairing.State.REGISTERED
    return accepted


@pytest.fixture
def reverse_token(accepted: Pairing) -> str:
    """With which the other site can register here."""
    token: str = json.loads(accepted.body.reveal())["reciprocal_registration_token"]
    return token


@pytest.fixture
def complete(invited: tuple[Pairing, str], other: OtherSite) -> Pairing:
    """A complete pairing; this site has invited."""
    pairing, code = invited
    assert register(code, other.registration()).status_code == 201
    sending.send(pairing)
    assert pairing.state == Pairing.State.COMPLETE, pairing.last_error
    return pairing


@pytest.fixture
def in_state(
    request: pytest.FixtureRequest, other: OtherSite
) -> Callable[[str], tuple[Pairing, Any]]:
    """Gives a pairing of the role and state, such as ``inviter open``, and the token with which the
    other site registers here."""

    def give(words: str) -> tuple[Pairing, str]:
        role, state = words.split()
        if role == "inviter":
            bound = state not in ("accepted",)
            pairing, token = request.getfixturevalue("invited" if bound else "invited_all")
            if state != "open":
                assert register(token, other.registration()).status_code == 201
        else:
            pairing = request.getfixturevalue("accepted")
            token = request.getfixturevalue("reverse_token")
            if state != "draft":
                sending.send(pairing)
        pairing.refresh_from_db()
        return pairing, token

    return give
