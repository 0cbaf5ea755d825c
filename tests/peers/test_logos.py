"""Logos of peers are fetched by this site, stored, and served from here."""

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
import time_machine
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from reciprocal_oauth.client import image
from reciprocal_oauth.client.image_size import size_of
from reciprocal_oauth.delivery import chores
from reciprocal_oauth.models import Peer, PeerLogo
from reciprocal_oauth.peers import logos

from ..admin.conftest import admin_url
from ..fakes import FakePeer, Reply

PNG_HEADER = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
PNG = PNG_HEADER + b"\x00\x00\x00\x10" * 2 + b"picture"
JPEG_HEADER = b"\xff\xd8\xff\xe0\x00\x04\x00\x00\xff\xff\xc2\x00\x11\x08"
WEBP_HEADER = b"RIFF\x10\x00\x00\x00WEBPVP8 \x00\x00\x00\x00\x00\x00\x00\x9d\x01\x2a"
LOGO = "/connections/music/logo/"


@pytest.fixture
def with_logo(peer: Peer, fake_peer: FakePeer) -> Callable[..., None]:
    """Gives the peer a logo whose address responds with this, and does the work that is due."""

    def give(*responses: Any) -> None:
        Peer.objects.update(logo_uri=f"{fake_peer.url}/logo.png")
        fake_peer.answers["/logo.png"] = list(responses)
        chores.run()

    return give


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (PNG, "image/png"),
        (JPEG_HEADER + b"\x00\x10" * 2 + b"picture", "image/jpeg"),
        (WEBP_HEADER + b"\x10\x00" * 2 + b"picture", "image/webp"),
    ],
)
@pytest.mark.threat("LG2")
def test_an_image_is_served_with_the_type_that_its_first_bytes_say(
    with_logo: Callable[..., None], client: Client, content: bytes, media_type: str
) -> None:
    with_logo(Reply(200, content, {"Content-Type": "text/html"}))

    response = client.get(LOGO)

    assert (response.content, response["Content-Type"]) == (content, media_type)
    assert response["X-Content-Type-Options"] == "nosniff"
    assert response["Content-Security-Policy"] == "default-src 'none'; sandbox"


@pytest.mark.threat("LG2", "LG4")
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, b"<svg xmlns='http://www.w3.org/2000/svg'/>", {"Content-Type": "image/png"}),
        Reply(200, b"<!doctype html><script>1</script>", {"Content-Type": "image/png"}),
        Reply(200, b"", {"Content-Type": "image/png"}),
        Reply(200, b"RIFF\x10\x00\x00\x00WAVEfmt "),
        Reply(200, b"GIF89a\x01\x00\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\xff\xff\xff\xff"),
        Reply(200, PNG + b"x" * 65_536),
        Reply(404, PNG),
    ],
    ids=["svg", "page", "empty", "sound", "large frame", "large", "404"],
)
def test_what_is_no_small_image_is_not_stored(
    with_logo: Callable[..., None], client: Client, reply: Reply
) -> None:
    with_logo(reply)

    assert client.get(LOGO).status_code == 404
    assert PeerLogo.objects.get().error


@pytest.mark.threat("LG4")
@pytest.mark.parametrize(("width", "height"), [(2048, 2048), (2049, 1), (1, 2049)])
@pytest.mark.parametrize(
    ("header", "order", "length", "first"),
    [
        (PNG_HEADER, "big", 4, "width"),
        (JPEG_HEADER, "big", 2, "height"),
        (WEBP_HEADER, "little", 2, "width"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8X\x0a\x00\x00\x00\x10\x00\x00\x00", "little", 3, "less"),
        (b"RIFF\x10\x00\x00\x00WEBPVP8L\x0a\x00\x00\x00\x2f", "little", 4, "bits"),
    ],
    ids=["png", "jpeg", "webp", "webp, extended", "webp, lossless"],
)
def test_an_image_with_many_pixels_is_not_stored(
    with_logo: Callable[..., None],
    client: Client,
    header: bytes,
    order: Any,
    length: int,
    first: str,
    width: int,
    height: int,
) -> None:
    numbers = {
        "width": [width, height],
        "height": [height, width],
        "less": [width - 1, height - 1],
        "bits": [width - 1 | height - 1 << 14],
    }[first]
    size = b"".join(number.to_bytes(length, order) for number in numbers)

    with_logo(Reply(200, header + size + b"picture"))

    fits = width == height == 2048
    assert client.get(LOGO).status_code == (200 if fits else 404)
    error = PeerLogo.objects.get().error
    assert error == "" if fits else f"The image has {width} × {height} pixels" in error


@pytest.mark.threat("LG4")
@pytest.mark.parametrize(
    "before_the_frame",
    [b"\x00", b"\xff\x01", b"\xff\xd0", b"\xff\xd9", b"\xff\x01\x00\x02"],
    ids=["stray byte", "TEM", "RST", "EOI", "TEM with a length"],
)
def test_an_image_that_can_be_read_in_two_ways_is_not_stored(
    with_logo: Callable[..., None], client: Client, before_the_frame: bytes
) -> None:
    """A browser skips what a simple reader takes for the beginning of a segment."""
    frame = b"\xff\xc0\x00\x0b\x08\x00\x10\x00\x10\x01\x01\x11\x00"

    with_logo(Reply(200, b"\xff\xd8\xff\xe0\x00\x04ab" + before_the_frame + frame))

    assert client.get(LOGO).status_code == 404
    assert "does not say how large it is" in PeerLogo.objects.get().error


@pytest.mark.threat("LG4")
def test_an_image_without_pixels_is_not_stored(
    with_logo: Callable[..., None], client: Client
) -> None:
    with_logo(Reply(200, JPEG_HEADER + b"\x00\x00\x00\x10picture"))

    assert client.get(LOGO).status_code == 404


@pytest.mark.parametrize("length", range(40))
def test_an_image_that_ends_early_has_no_size(length: int) -> None:
    webp = b"RIFF\x10\x00\x00\x00WEBPVP8X" + b"\xff" * 14
    for content in (PNG_HEADER + b"\xff" * 24, JPEG_HEADER + b"\xff" * 26, webp):
        size_of(content[:length])


@pytest.mark.threat("LG1")
def test_a_redirect_is_not_followed(with_logo: Callable[..., None], fake_peer: FakePeer) -> None:
    fake_peer.answers["/inside.png"] = Reply(200, PNG)

    with_logo(Reply(302, headers={"Location": f"{fake_peer.url}/inside.png"}))

    assert fake_peer.to("/inside.png") == []
    assert PeerLogo.objects.get().media_type == ""


@pytest.mark.threat("LG1")
@pytest.mark.parametrize("address", ["https://10.0.0.1/a.png", "http://peer.example/a.png"])
def test_an_address_that_must_not_be_called_is_not_called(peer: Peer, address: str) -> None:
    Peer.objects.update(logo_uri=address)

    chores.run()

    assert PeerLogo.objects.get().error


@pytest.mark.threat("LG1")
def test_the_request_contains_no_token_and_no_cookie(
    with_logo: Callable[..., None], fake_peer: FakePeer
) -> None:
    with_logo(Reply(200, PNG))

    (asked,) = fake_peer.to("/logo.png")
    assert not {"Authorization", "Cookie"} & asked.headers.keys()


def test_a_front_end_at_another_origin_may_show_the_logo(
    with_logo: Callable[..., None], client: Client
) -> None:
    """The API tells front ends the address. With ``same-origin``, browsers would show nothing."""
    with_logo(Reply(200, PNG))

    assert client.get(LOGO)["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_a_disabled_peer_is_not_called_for_its_logo(
    with_logo: Callable[..., None], fake_peer: FakePeer
) -> None:
    Peer.objects.update(enabled=False)

    with_logo(Reply(200, PNG))

    assert fake_peer.requests == []
    assert logos.next_due_at() is None


@pytest.mark.threat("LG3")
def test_pages_show_the_logo_from_this_site_and_never_name_its_address(
    with_logo: Callable[..., None], browser: Client, fake_peer: FakePeer
) -> None:
    with_logo(Reply(200, PNG))

    page = browser.get("/connections/").content.decode()

    assert f'src="{LOGO}?v=' in page
    assert fake_peer.url not in page


@pytest.mark.parametrize("url", ["/connections/", "/api/reciprocal/peers/"])
def test_many_logos_need_no_more_queries_than_one(
    with_logo: Callable[..., None],
    browser: Client,
    make_peer: Callable[..., Peer],
    settings: Settings,
    django_assert_num_queries: Any,
    url: str,
) -> None:
    settings.ROOT_URLCONF = "tests.api.urls"
    with_logo(Reply(200, PNG))
    browser.get(url)
    with CaptureQueriesContext(connection) as one:
        browser.get(url)
    for slug in ("heating", "lights"):
        address = f"https://{slug}.example/logo.png"
        PeerLogo.objects.create(
            peer=make_peer(slug, logo_uri=address),
            uri=address,
            media_type="image/png",
            content=PNG,
            fetched_at=timezone.now(),
        )

    with django_assert_num_queries(len(one)):
        page = browser.get(url).content.decode()

    assert "/connections/lights/logo/?v=" in page


def test_a_browser_that_asks_during_the_request_does_not_keep_the_former_image(
    with_logo: Callable[..., None], browser: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It keeps an image for a week, by its address."""
    addresses = []

    def look() -> None:
        page = browser.get("/connections/").content.decode()
        addresses.extend(re.findall(r"/logo/\?v=\d+", page))

    def slow(_url: str) -> image.Image:
        look()
        return image.Image("image/jpeg", b"new")

    with_logo(Reply(200, PNG))
    monkeypatch.setattr(image, "fetch", slow)

    logos.fetch(Peer.objects.get())

    look()
    before, after = dict.fromkeys(addresses)
    assert before != after


@pytest.mark.threat("LG4")
def test_the_image_stays_if_it_cannot_be_fetched_again(
    with_logo: Callable[..., None], client: Client, fake_peer: FakePeer
) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        with_logo(Reply(200, PNG), Reply(500))
        chores.run()
        assert len(fake_peer.to("/logo.png")) == 1
    with time_machine.travel(now + timedelta(days=7), tick=False):
        chores.run()

    assert len(fake_peer.to("/logo.png")) == 2
    assert client.get(LOGO).content == PNG
    assert "500" in PeerLogo.objects.get().error


@pytest.mark.threat("LG4")
def test_an_attempt_that_was_killed_is_made_again_the_next_day(
    with_logo: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        with_logo(Reply(200, PNG))
    monkeypatch.setattr(logos.image, "fetch", killed)
    with time_machine.travel(now + timedelta(days=7), tick=False):
        with pytest.raises(KeyboardInterrupt):
            logos.fetch(Peer.objects.get())

        assert PeerLogo.objects.get().error == "The attempt did not end."
        assert logos.next_due_at() == now + timedelta(days=8)


def killed(_url: str) -> None:
    raise KeyboardInterrupt


def test_a_logo_is_due_again_after_a_week_and_after_an_error_the_next_day(
    with_logo: Callable[..., None],
) -> None:
    now = timezone.now()
    with time_machine.travel(now, tick=False):
        assert logos.next_due_at() is None
        with_logo(Reply(200, PNG), Reply(500))
        assert logos.next_due_at() == now + timedelta(days=7)
        logos.fetch(Peer.objects.get())
        assert logos.next_due_at() == now + timedelta(days=1)


def test_another_address_is_fetched_at_once(
    with_logo: Callable[..., None], client: Client, fake_peer: FakePeer
) -> None:
    with_logo(Reply(200, PNG))
    fake_peer.answers["/new.png"] = Reply(200, PNG + b" of today")
    Peer.objects.update(logo_uri=f"{fake_peer.url}/new.png")

    chores.run()

    assert client.get(LOGO).content == PNG + b" of today"


def test_a_browser_that_has_the_image_gets_it_once(
    with_logo: Callable[..., None], client: Client
) -> None:
    with_logo(Reply(200, PNG))
    first = client.get(LOGO)

    again = client.get(LOGO, headers={"If-None-Match": first["ETag"]})

    assert (again.status_code, again.content) == (304, b"")
    assert "max-age" in first["Cache-Control"]


@pytest.mark.parametrize("values", [{"enabled": False}, {"logo_uri": ""}])
def test_there_is_no_logo_of_a_peer_that_is_disabled_or_has_none(
    with_logo: Callable[..., None], browser: Client, values: dict[str, Any]
) -> None:
    with_logo(Reply(200, PNG))
    Peer.objects.update(**values)

    assert browser.get(LOGO).status_code == 404
    assert LOGO not in browser.get("/connections/").content.decode()


def test_a_page_says_what_the_peer_is(peer: Peer, browser: Client) -> None:
    Peer.objects.update(
        description="Plays <b>music</b>.",
        policy_uri="https://music.example/privacy/",
        tos_uri="https://music.example/terms/",
    )

    page = browser.get("/connections/").content.decode()

    assert "Plays &lt;b&gt;music&lt;/b&gt;." in page
    assert 'href="https://music.example/privacy/"' in page
    assert 'href="https://music.example/terms/"' in page
    assert '<span class="ro-logo ro-logo--letter" aria-hidden="true">M</span>' in page


def test_the_command_fetches_a_logo_at_once_or_says_why_not(
    with_logo: Callable[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(CommandError, match="has no logo"):
        call_command("reciprocal_peer", "logo", "music")
    with_logo(Reply(200, b"no image"), Reply(200, PNG), Reply(500))

    call_command("reciprocal_peer", "logo", "music")

    assert "image/png, 31 bytes" in capsys.readouterr().out
    with pytest.raises(CommandError, match="HTTP 500"):
        call_command("reciprocal_peer", "logo", "music")


def test_the_button_in_the_admin_fetches_a_logo_at_once_and_shows_why_it_could_not(
    with_logo: Callable[..., None], admin_client: Client, client: Client
) -> None:
    with_logo(Reply(200, b"no image"), Reply(200, PNG))
    page = admin_url(Peer, "change", Peer.objects.get().pk)
    assert "The response is not a PNG" in admin_client.get(page).content.decode()

    button = admin_url(Peer, "logo", Peer.objects.get().pk)
    assert admin_client.get(button).status_code == 405
    response = admin_client.post(button, follow=True)

    assert "The logo was fetched." in response.content.decode()
    assert client.get(LOGO).content == PNG
