"""``reciprocal_peer test`` for one peer and for all of them, and the page of the admin."""

import io
import json
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.test import Client
from django.urls import reverse

from reciprocal_oauth.models import Peer
from reciprocal_oauth.models.heartbeats import Heartbeat
from tests.conftest import OUR_SECRET
from tests.fakes import FakePeer, Reply


def run(*arguments: str, code: int = 0) -> str:
    """What the command prints; it ends with ``code``."""
    out, ended = io.StringIO(), 0
    try:
        call_command("reciprocal_peer", "test", *arguments, stdout=out)
    except SystemExit as error:
        ended = int(str(error.code))
    assert ended == code
    assert OUR_SECRET not in out.getvalue()
    return out.getvalue()


@pytest.fixture
def broken_peer(good_peer: FakePeer, make_peer: Any) -> Peer:
    """A second peer, which refuses our credentials."""
    good_peer.answers["/other/"] = Reply.json(401, error="invalid_client")
    return make_peer("weather", good_peer.url, token_endpoint=f"{good_peer.url}/other/", issuer="")


def test_the_last_line_claims_what_is_known(good_peer: FakePeer, a_worker: None) -> None:
    last = run("music").splitlines()[-1]

    assert last == "No test failed. The result of 1 test is not known."  # Plain http.


def test_a_missing_worker_fails(good_peer: FakePeer) -> None:
    text = run("music", code=1)

    assert "No worker has ever run" in text
    assert "1 test failed." in text


def test_all_enabled_peers_are_tested(
    good_peer: FakePeer, broken_peer: Peer, a_worker: None, make_peer: Any
) -> None:
    make_peer("off", enabled=False)

    text = run("--all", code=1)

    table, *details = text.split("\n\n")
    lines = dict(line.split(maxsplit=1) for line in table.splitlines())
    assert list(lines) == ["music", "weather", "(this"]
    assert lines["music"].startswith("No test failed.")
    assert lines["weather"].startswith("2 tests failed.")
    assert lines["(this"] == "site)  All tests passed."
    assert [each.splitlines()[0] for each in details] == ["music", "weather"]
    assert "It refuses our credentials." in details[1]
    assert "passed" not in "".join(details)


def test_all_as_json(good_peer: FakePeer, broken_peer: Peer, a_worker: None) -> None:
    documents = json.loads(run("--all", "--json", code=1))

    assert [(each["peer"], each["failed"]) for each in documents] == [
        ("music", False),
        ("weather", True),
        (None, False),
    ]
    assert [each["check"] for each in documents[-1]["findings"]] == ["worker"]
    one = {each["check"] for each in json.loads(run("music", "--json"))}
    assert one == {each["check"] for each in documents[0]["findings"]} | {"worker"}


def test_all_without_peers_tests_this_site(db: None) -> None:
    documents = json.loads(run("--all", "--json", code=1))

    assert [each["peer"] for each in documents] == [None]


@pytest.mark.parametrize("arguments", [[], ["music", "--all"]])
def test_either_one_or_all(arguments: list[str], peer: Peer) -> None:
    with pytest.raises(CommandError):
        run(*arguments)


def test_the_page_of_the_admin_says_the_same(
    admin_client: Client, good_peer: FakePeer, a_worker: None
) -> None:
    url = reverse("admin:reciprocal_oauth_peer_test", args=[Peer.objects.get().pk])

    text = admin_client.post(url).content.decode()

    assert "No test failed. The result of 1 test is not known." in text
    assert "A worker runs." in text
    assert "The peer has the redirect URI of this site" in text

    Heartbeat.objects.all().delete()
    assert "1 test failed." in admin_client.post(url).content.decode()
