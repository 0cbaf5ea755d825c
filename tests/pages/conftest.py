"""Fixtures: every page of the app, as one person sees it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from reciprocal_oauth.models import Link, Peer

from ..fakes import FakePeer
from ..party_a.visits import begin, connect


@pytest.fixture
def page(
    browser: Client, peer: Peer, fake_peer: FakePeer, make_peer: Callable[..., Peer]
) -> Callable[[str], Any]:
    """Opens a page by its name, see ``PAGES``."""
    make_peer("heating")

    def open_page(name: str) -> Any:
        match name:
            case "list":
                return browser.get("/connections/")
            case "failed attempt":
                return browser.get(connect(browser, error="access_denied")["Location"])
            case "link":
                return browser.get(f"/connections/links/{_link(browser).pk}/")
            case "consent":
                return browser.get(f"/connections/links/{_link(browser).pk}/consent/")
            case "consent with an error":
                return browser.post(
                    f"/connections/links/{_link(browser).pk}/consent/", {"scopes": ["history"]}
                )
            case "consent given":
                return browser.post(
                    f"/connections/links/{_link(browser).pk}/consent/", {"scopes": ["profile"]}
                )
            case "disconnect":
                return browser.get(f"/connections/links/{_link(browser).pk}/disconnect/")
            case "disconnected":
                return browser.post(f"/connections/links/{_link(browser).pk}/disconnect/")
            case "connect":
                return browser.post("/connections/music/connect/")
            case "callback":
                return connect(browser)
            case "callback refused":
                return begin(browser).come_back(state="made-up")
            case "callback of nobody":
                return begin(browser).come_back(browser=Client())
            case "list of nobody":
                return Client().get("/connections/")
        raise AssertionError(name)

    return open_page


def _link(browser: Client) -> Link:
    connect(browser)
    return Link.objects.get()
