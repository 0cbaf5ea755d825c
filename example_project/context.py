"""What every template knows."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from reciprocal_oauth.models import Peer


def role(request: HttpRequest) -> dict[str, Any]:
    """``role``: which of the two sites this is; ``other``: the other one, if it is set up as a
    peer, switched on or off; ``demo_users``: whether to tell of alice."""
    return {
        "role": settings.ROLE,
        "other": SimpleLazyObject(
            lambda: Peer.objects.filter(slug=settings.ROLE.other.slug).first()
        ),
        "demo_users": settings.DEBUG,
    }
