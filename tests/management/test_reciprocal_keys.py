"""The command that shows, replaces and retires the keys of this site."""

import io
import json
from collections.abc import Callable, Iterator
from datetime import UTC, timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.test import Client
from django.utils import timezone
from jwcrypto import jwk

from reciprocal_oauth.keys import site_keys
from reciprocal_oauth.models import Peer, SiteKey

pytestmark = pytest.mark.django_db

PATH = "/o/reciprocal/jwks.json"


@pytest.fixture
def clock() -> Iterator[time_machine.Traveller]:
    with (
        time_machine.travel("2026-08-01 12:00 +0000", tick=False) as traveller,
        timezone.override(UTC),
    ):
        yield traveller


def run(*arguments: str) -> tuple[str, str]:
    """The standard output and the standard error of the command."""
    out, err = io.StringIO(), io.StringIO()
    call_command("reciprocal_keys", *arguments, stdout=out, stderr=err)
    return out.getvalue(), err.getvalue()


def document(*arguments: str) -> Any:
    return json.loads(run(*arguments, "--json")[0])


def published(client: Client) -> list[str]:
    return [key["kid"] for key in client.get(PATH).json()["keys"]]


def test_without_keys_it_says_when_one_is_made() -> None:
    assert run("list") == ("There are no keys. The first one is made when it is needed.\n", "")
    assert document("list") == []


def test_the_states_of_a_rotation_are_listed(clock: time_machine.Traveller) -> None:
    (first,) = document("rotate")
    (second,) = document("rotate")
    assert (first["state"], second["state"]) == ("active", "published")
    lines = run("list")[0].splitlines()
    assert lines[0].endswith("published, active from 2026-08-01 14:00:00")
    assert lines[1].endswith("active since 2026-08-01 12:00:00")

    clock.shift(timedelta(hours=2))
    lines = run("list")[0].splitlines()
    assert lines[0].endswith("active since 2026-08-01 14:00:00")
    assert lines[1].endswith("retired, published until 2026-08-02 14:00:00")

    clock.shift(timedelta(hours=24))
    assert "no more since 2026-08-02" in run("list")[0]
    assert document("list")[0]["is_published"] is True
    assert document("list")[1]["is_published"] is False


@pytest.mark.threat("JC5")
def test_after_a_leak_the_public_set_has_the_new_key_alone(client: Client) -> None:
    document("rotate")
    old = published(client)

    (new,) = document("rotate", "--now")

    assert published(client) == [new["kid"]]
    assert new["kid"] not in old


@pytest.mark.threat("JC5")
def test_it_names_the_peers_that_may_have_a_copy_of_the_former_key(
    make_peer: Callable[..., Peer],
) -> None:
    make_peer(token_endpoint_auth_method="private_key_jwt", issuer="https://peer.example/o")

    assert "reciprocal_peer resume" in run("rotate", "--now")[1]
    assert run("rotate", "--now")[1].endswith(": music.\n")
    assert run("rotate")[1] == ""


def test_a_published_key_is_retired(client: Client) -> None:
    (active,) = document("rotate")
    (next_one,) = document("rotate")

    (retired,) = document("retire", next_one["kid"])

    assert (retired["state"], retired["is_published"]) == ("retired", False)
    assert published(client) == [active["kid"]]


def test_the_active_key_is_not_retired(client: Client) -> None:
    (active,) = document("rotate")

    with pytest.raises(CommandError, match="rotate --now"):
        run("retire", active["kid"])
    with pytest.raises(CommandError, match="no such key"):
        run("retire", "unknown")
    assert published(client) == [active["kid"]]


@pytest.mark.threat("JC4")
@pytest.mark.parametrize("arguments", [["list"], ["list", "--json"], ["rotate", "--json"]])
def test_no_private_part_is_printed(arguments: list[str]) -> None:
    key = site_keys.signing_key()
    private = jwk.JWK.from_json(key.private_jwk.reveal()).export(as_dict=True)["d"]

    printed = "".join(run(*arguments))

    assert private not in printed
    assert key.private_jwk.encrypted() not in printed


def test_a_key_that_left_the_public_set_is_pruned(clock: time_machine.Traveller) -> None:
    document("rotate")
    (new,) = document("rotate")
    clock.shift(site_keys.PUBLISHED_BEFORE_USE)
    call_command("reciprocal_prune", stdout=io.StringIO())
    assert SiteKey.objects.count() == 2

    clock.shift(site_keys.PUBLISHED_AFTER_USE)
    call_command("reciprocal_prune", stdout=io.StringIO())
    assert SiteKey.objects.get().kid == new["kid"]


def test_the_id_of_a_new_key_does_not_begin_like_an_option(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One thumbprint in 64 begins with "-" (RFC 7638, section 3.1)."""
    dashed = _pair(lambda kid: kid.startswith("-"))
    other = _pair(lambda kid: not kid.startswith("-"))
    pairs = iter([dashed, other])
    monkeypatch.setattr(jwk.JWK, "generate", lambda **_kind: next(pairs))

    (key,) = document("rotate")

    assert key["kid"] == other.thumbprint()


def test_an_id_that_begins_like_an_option_is_retired_after_two_dashes() -> None:
    (key,) = document("rotate")
    SiteKey.objects.filter(kid=key["kid"]).update(kid="-abc", state="published", slot=None)

    with pytest.raises(CommandError, match="required: KID .*“-- VALUE”"):
        run("retire", "-abc")
    run("retire", "--", "-abc")

    assert SiteKey.objects.get().state == "retired"


def _pair(is_wanted: Callable[[str], bool]) -> jwk.JWK:
    while True:
        pair = jwk.JWK.generate(kty="EC", crv="P-256")
        if is_wanted(pair.thumbprint()):
            return pair
