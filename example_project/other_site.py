"""Calling the other site in a person's name."""

from typing import Any

import requests
from django.conf import settings

import reciprocal_oauth
from reciprocal_oauth.exceptions import NotLinked, ReciprocalError
from reciprocal_oauth.models import Peer


class CallFailed(Exception):
    """The other site did not do it. ``str()`` tells the person why, and what to do."""


def call(user: Any, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    """Call ``path`` at the other site with the access that ``user`` gave this site there.

    :returns: the JSON object that it answered.
    :raises CallFailed: there is no access, the site is not there, or it refused.
    """
    other = settings.ROLE.other.name
    try:
        session = reciprocal_oauth.get_session_for(user, settings.ROLE.other.slug)
        url = session.link.peer.homepage.rstrip("/") + "/" + path
        answer = session.request(method, url, json=body)
        content = answer.json() if answer.ok else {}
    except NotLinked:
        if Peer.objects.filter(slug=settings.ROLE.other.slug, enabled=False).exists():
            raise CallFailed(f"{settings.ROLE.name} has switched {other} off for now.") from None
        raise CallFailed(
            f"{other} does not let this site in at the moment. Have a look at your connections."
        ) from None
    except requests.JSONDecodeError:
        raise CallFailed(f"{other} answered something that makes no sense.") from None
    except (requests.RequestException, ReciprocalError):
        raise CallFailed(
            f"{other} cannot be reached at the moment. Try again in a little while."
        ) from None
    if answer.status_code == requests.codes.unauthorized:
        raise CallFailed(
            f"{other} no longer accepts this connection. Connect again under Connections."
        )
    if answer.status_code == requests.codes.forbidden:
        raise CallFailed(f"{other} answered that this site is not allowed to do that.")
    if not answer.ok or not isinstance(content, dict):
        raise CallFailed(f"{other} answered with an error (HTTP {answer.status_code}).")
    return content
