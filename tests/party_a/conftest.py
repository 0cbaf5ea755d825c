"""Fixtures: a consent page that the user has not answered yet."""

from collections.abc import Callable

import pytest
from oauth2_provider.models import get_grant_model

from reciprocal_oauth.models import Link, LinkEvent, OutboxItem

from ..provider.conftest import reciprocal_code, redeem, refresh

__all__ = ["reciprocal_code", "redeem", "refresh"]


@pytest.fixture
def question(link_as_a: Link) -> str:
    """Where alice is asked whether the peer may have "profile playback"."""
    return f"/connections/links/{link_as_a.pk}/consent/"


@pytest.fixture
def assert_untouched(link_as_a: Link) -> Callable[[], None]:
    """Asserts that nobody has answered the question."""
    before = {name: str(value) for name, value in Link.objects.values().get().items()}

    def check() -> None:
        after = {name: str(value) for name, value in Link.objects.values().get().items()}
        assert after == before
        assert not OutboxItem.objects.exists()
        assert not LinkEvent.objects.exists()
        assert not get_grant_model().objects.exists()

    return check
