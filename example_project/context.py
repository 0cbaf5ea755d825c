"""The context of every template."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from reciprocal_oauth.models import Peer


def role(request: HttpRequest) -> dict[str, Any]:
    """``role``: which of the two sites this is; ``other``: the other site, if it is a peer,
    enabled or not; ``demo_users``: whether to mention the users of the demo."""
    return {
        "role": settings.ROLE,
        "other": SimpleLazyObject(
            lambda: Peer.objects.filter(slug=settings.ROLE.other.slug).first()
        ),
        "demo_users": settings.DEBUG,
    }
