"""What this site signs, checked by another implementation."""

from datetime import UTC, datetime

import pytest
import time_machine
from django.test import override_settings
from joserfc import jwt
from joserfc.jwk import KeySet

from reciprocal_oauth.exceptions import DecryptionError
from reciprocal_oauth.keys import assertions, key_set, site_keys
from reciprocal_oauth.models import SiteKey

pytestmark = pytest.mark.django_db

ISSUER = "https://peer.example/o"
NOW = datetime(2026, 8, 1, 12, tzinfo=UTC)


def checked(token: str, algorithm: str = "ES256") -> jwt.Token:
    return jwt.decode(token, KeySet.import_key_set(key_set.public_set()), algorithms=[algorithm])


@pytest.mark.rfc("7523", "3")
@pytest.mark.rfc("7519", "4.1.3")
@time_machine.travel(NOW, tick=False)
def test_an_assertion_names_this_client_one_audience_and_a_short_time() -> None:
    token = checked(assertions.sign("our-client", ISSUER).reveal())

    jti = token.claims.pop("jti")
    assert token.claims == {
        "iss": "our-client",
        "sub": "our-client",
        "aud": ISSUER,
        "iat": int(NOW.timestamp()),
        "exp": int(NOW.timestamp()) + 60,
    }
    assert token.header == {"typ": "JWT", "alg": "ES256", "kid": site_keys.signing_key().kid}
    assert len(jti) >= 20


@pytest.mark.rfc("7518", "3.3")
def test_a_peer_that_knows_only_rsa_can_check_it() -> None:
    token = checked(assertions.sign("our-client", ISSUER, ["RS256"]).reveal(), "RS256")

    assert token.header["alg"] == "RS256"


@pytest.mark.rfc("7523", "3")
def test_each_assertion_has_an_id_of_its_own() -> None:
    signed = [checked(assertions.sign("c", ISSUER).reveal()).claims["jti"] for _ in range(20)]

    assert len(set(signed)) == 20


def test_an_assertion_is_not_shown() -> None:
    signed = assertions.sign("our-client", ISSUER)

    assert f"{signed} {signed!r}" == "*** Secret('***')"


@pytest.mark.threat("JC7")
def test_a_key_that_cannot_be_decrypted_is_neither_used_nor_replaced_by_itself() -> None:
    key = site_keys.signing_key()

    with (
        override_settings(SECRET_KEY="another-key-of-the-site"),
        pytest.raises(DecryptionError, match="reciprocal_keys rotate --now") as raised,
    ):
        assertions.sign("our-client", ISSUER)

    assert key.kid in str(raised.value)
    assert SiteKey.objects.get().kid == key.kid
    assert checked(assertions.sign("our-client", ISSUER).reveal())


@pytest.mark.threat("JC7")
def test_after_the_encryption_key_is_lost_a_new_key_is_made_by_a_person() -> None:
    old = site_keys.signing_key().kid
    with override_settings(SECRET_KEY="another-key-of-the-site"):
        site_keys.rotate(at_once=True)
        token = checked(assertions.sign("our-client", ISSUER).reveal())

    assert token.header["kid"] != old
