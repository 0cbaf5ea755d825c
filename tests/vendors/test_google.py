"""The preset of Google: the pair that Google issued, and none where it is not used."""

import io

import pytest
from django.core.management import CommandError, call_command

from reciprocal_oauth.models import Peer

pytestmark = pytest.mark.django_db


def add(*answers: str) -> None:
    flags = [f"--answer={answer}" for answer in ("project_id=my-project-12345", *answers)]
    out = io.StringIO()
    call_command("reciprocal_peer", "add", "google", "--dialect", "google", *flags, stdout=out)


def test_both_redirect_uris_come_from_the_project_id() -> None:
    add()

    assert Peer.objects.get().application.redirect_uris.split() == [
        "https://oauth-redirect.googleusercontent.com/r/my-project-12345",
        "https://oauth-redirect-sandbox.googleusercontent.com/r/my-project-12345",
    ]


def test_a_site_without_linked_account_sign_in_needs_no_pair() -> None:
    add()

    peer = Peer.objects.get()
    assert (peer.client_id, bool(peer.client_secret), peer.sends_codes) == ("", False, False)
    assert peer.token_endpoint == "https://oauth2.googleapis.com/token"


def test_the_pair_that_google_issued_is_asked_for() -> None:
    add("client_id=123-ab.apps.googleusercontent.com", "client_secret=GOCSPX-x")

    assert Peer.objects.get().sends_codes


def test_the_pair_that_google_holds_here_is_noticed() -> None:
    with pytest.raises(CommandError, match="client-id"):
        add("client_id=google-here", "client_secret=secret")


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(CommandError, match="client secret"):
        add("client_id=123-ab.apps.googleusercontent.com")
