"""Fixtures of the tests of links: tokens of the peer, and the signals that are sent."""

from datetime import timedelta

import pytest
from django.utils import timezone

from reciprocal_oauth.models import Link

from ..provider.conftest import (  # noqa: F401  Fixtures.
    broken,
    dot_settings,
    make_application,
    openid_connect,
    reciprocal_code,
    redeem,
    refresh,
    signing_key,
    tokens,
)


@pytest.fixture
def expired(link_as_a: Link) -> Link:
    """A link whose access token has expired, while its refresh token still works."""
    link_as_a.access_token_expires_at = timezone.now() - timedelta(seconds=1)
    link_as_a.save()
    return link_as_a
