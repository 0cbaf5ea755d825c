"""How the keys of this site are made, used, replaced and retired."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.db import connections
from django.utils import timezone
from jwcrypto import jwk, jws

from reciprocal_oauth.keys import assertions, key_set, site_keys
from reciprocal_oauth.models import SiteKey

pytestmark = pytest.mark.django_db

ISSUER = "https://peer.example/o"


def kids() -> list[str]:
    """The keys that peers see."""
    return [key["kid"] for key in key_set.public_set()["keys"]]


def signer() -> str:
    return site_keys.signing_key().kid


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with time_machine.travel("2026-08-01 12:00 +0000", tick=False) as traveller:
        yield traveller


@pytest.mark.rfc("7638", "3")
def test_the_first_key_is_active_at_once_and_named_by_its_thumbprint() -> None:
    key = site_keys.signing_key()

    assert key.state == SiteKey.State.ACTIVE
    assert key.kid == jwk.JWK(**key_set.public_set()["keys"][0]).thumbprint()
    assert site_keys.signing_key().pk == key.pk
    assert key_set.thumbprints() == [key.kid]


@pytest.mark.rfc("7518", "3.1")
@pytest.mark.parametrize(
    ("known", "used"),
    [
        ((), "ES256"),
        (("RS256", "ES256"), "ES256"),
        (("RS256",), "RS256"),
        (("PS256", "RS256"), "RS256"),
    ],
)
def test_a_key_is_made_for_an_algorithm_that_the_peer_knows(
    known: tuple[str, ...], used: str
) -> None:
    assert site_keys.signing_key(known).alg == used
    assert [key.alg for key in SiteKey.objects.all()] == [used]


def test_no_algorithm_is_known_to_a_peer_that_knows_others() -> None:
    assert site_keys.algorithm_for(("EdDSA", "HS256")) is None


def test_the_private_part_is_stored_encrypted_and_published_nowhere() -> None:
    key = site_keys.signing_key()
    private = jwk.JWK.from_json(key.private_jwk.reveal()).export(as_dict=True)["d"]

    stored = SiteKey.objects.values_list("private_jwk", flat=True).get()

    assert stored.encrypted().startswith("fernet")
    assert private not in stored.encrypted()
    assert private not in str(SiteKey.objects.values_list("public_jwk").get())
    assert set(key_set.public_set()["keys"][0]) == {"kty", "crv", "x", "y", "kid", "alg", "use"}


def test_a_new_key_is_published_before_its_use_and_the_old_one_after_it(
    clock: time_machine.Traveller,
) -> None:
    old = signer()
    (new,) = site_keys.rotate()

    assert signer() == old
    assert kids() == [new.kid, old]
    clock.shift(timedelta(hours=1, minutes=59))
    assert signer() == old
    clock.shift(timedelta(minutes=1))
    assert signer() == new.kid
    assert kids() == [new.kid, old]
    clock.shift(timedelta(hours=23, minutes=59))
    assert kids() == [new.kid, old]
    clock.shift(timedelta(minutes=1))
    assert kids() == [new.kid]


def test_the_private_part_of_a_retired_key_is_erased(clock: time_machine.Traveller) -> None:
    old = signer()
    site_keys.rotate()
    clock.shift(site_keys.PUBLISHED_BEFORE_USE)
    site_keys.advance()

    assert not SiteKey.objects.get(kid=old).private_jwk


def test_a_site_that_signs_seldom_advances_as_well(clock: time_machine.Traveller) -> None:
    signer()
    (new,) = site_keys.rotate()
    site_keys.advance()
    new.refresh_from_db()
    assert new.state == SiteKey.State.PUBLISHED

    clock.shift(site_keys.PUBLISHED_BEFORE_USE)
    site_keys.advance()
    new.refresh_from_db()
    assert (new.state, new.activated_at) == (SiteKey.State.ACTIVE, timezone.now())


def test_a_second_rotation_does_not_begin_before_the_first_is_over(
    clock: time_machine.Traveller,
) -> None:
    signer()
    first, second = site_keys.rotate(), site_keys.rotate()

    assert [key.pk for key in first] == [key.pk for key in second]
    clock.shift(site_keys.PUBLISHED_BEFORE_USE)
    (third,) = site_keys.rotate()
    assert third.pk != first[0].pk
    assert signer() == first[0].kid


def test_each_algorithm_in_use_gets_a_new_key() -> None:
    site_keys.signing_key(["ES256"])
    site_keys.signing_key(["RS256"])

    assert [key.alg for key in site_keys.rotate()] == ["ES256", "RS256"]


def test_the_first_rotation_makes_the_first_key() -> None:
    (key,) = site_keys.rotate()

    assert signer() == key.kid


@pytest.mark.threat("JC5")
@pytest.mark.parametrize("is_under_way", [False, True], ids=["at rest", "rotation under way"])
def test_after_a_leak_the_former_keys_are_out_at_once(is_under_way: bool) -> None:
    signer()
    if is_under_way:
        site_keys.rotate()

    (new,) = site_keys.rotate(at_once=True)

    assert kids() == [new.kid] == [signer()]
    assert not any(key.private_jwk for key in SiteKey.objects.exclude(pk=new.pk))


@pytest.mark.threat("JC5")
def test_one_key_is_retired_at_once(clock: time_machine.Traveller) -> None:
    old = signer()
    (new,) = site_keys.rotate()

    assert not site_keys.retire(old)
    assert site_keys.retire(new.kid)
    assert not site_keys.retire("unknown")
    assert kids() == [old]
    clock.shift(timedelta(days=1))
    assert signer() == old


def test_a_key_whose_row_is_lost_is_made_again() -> None:
    old = signer()
    SiteKey.objects.all().delete()

    assert kids() == []
    assert signer() != old


def test_a_published_key_takes_the_place_of_a_lost_one() -> None:
    old = signer()
    (new,) = site_keys.rotate()
    SiteKey.objects.filter(kid=old).delete()

    assert signer() == new.kid


def at_once(work: Callable[[], Any], times: int = 6) -> list[Any]:
    def run(_number: int) -> Any:
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(times) as pool:
        return list(pool.map(run, range(times)))


@pytest.mark.usefixtures("shared_database")
class TestAtOnce:
    """Several threads with connections of their own, as several processes have."""

    @pytest.mark.threat("JC6")
    def test_the_first_key_is_one_key(self) -> None:
        assert len(set(at_once(signer))) == 1
        assert len(kids()) == 1

    @pytest.mark.threat("JC6")
    def test_several_rotations_are_one(self) -> None:
        signer()
        found = at_once(lambda: site_keys.rotate()[0].kid)

        assert len(set(found)) == 1
        assert SiteKey.objects.count() == 2

    @pytest.mark.threat("JC6")
    def test_several_rotations_after_a_leak_leave_no_former_key(self) -> None:
        old = signer()
        found = at_once(lambda: site_keys.rotate(at_once=True)[0].kid)

        assert old not in kids()
        assert kids() == [signer()]
        assert signer() in found

    @pytest.mark.threat("JC6")
    def test_a_published_key_is_activated_once(self) -> None:
        old = signer()
        (new,) = site_keys.rotate()
        SiteKey.objects.filter(pk=new.pk).update(
            created_at=timezone.now() - site_keys.PUBLISHED_BEFORE_USE
        )

        assert set(at_once(signer)) == {new.kid}
        assert set(kids()) == {new.kid, old}

    @pytest.mark.rfc("7515", "6")
    @pytest.mark.threat("JC6")
    def test_no_assertion_is_refused_while_keys_rotate(self) -> None:
        """A peer that keeps a copy of the set for an hour checks each assertion."""
        signer()

        def sign() -> str:
            return assertions.sign("our-client", ISSUER).reveal()

        signed = at_once(sign)
        site_keys.rotate()
        copy = kids()
        # The time of the peer's copy is over when this site begins to use the new key.
        SiteKey.objects.filter(state="published").update(
            created_at=timezone.now() - site_keys.PUBLISHED_BEFORE_USE
        )
        signed += at_once(sign)

        used = {kid_of(each) for each in signed}
        assert len(used) == 2
        assert used <= set(copy)
        assert used <= set(kids())


def kid_of(token: str) -> str:
    signature = jws.JWS()
    signature.deserialize(token)
    return str(signature.jose_header["kid"])
