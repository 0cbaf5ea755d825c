"""The context processor of the example project: it adds variables to the context of templates."""

from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from reciprocal_oauth.models import Peer


def role(request: HttpRequest) -> dict[str, Any]:
    """Return three variables for templates.

    ``role`` describes this site. ``other`` is the row of the other site in the table of peers, or
    ``None`` if it has no row. ``demo_users`` says whether the pages mention the users of the demo.
    """
    return {
        "role": settings.ROLE,
        "other": SimpleLazyObject(
            lambda: Peer.objects.filter(slug=settings.ROLE.other.slug).first()
        ),
        "demo_users": settings.DEBUG,
    }
