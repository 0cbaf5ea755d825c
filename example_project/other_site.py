"""Calls the other site on behalf of a user."""

from typing import Any

import requests
from django.conf import settings
from django.utils.translation import gettext_lazy as _

import reciprocal_oauth
from reciprocal_oauth.exceptions import NotLinked, ReciprocalError
from reciprocal_oauth.models import Peer

#: Texts for users that say why a call failed and what they can do. The keys are the reasons of
#: :class:`CallFailed`.
_REASONS = {
    "switched off": _("%(site)s has switched %(other)s off for now."),
    "not let in": _(
        "%(other)s does not let this site in at the moment. Have a look at your connections."
    ),
    "no sense": _("%(other)s answered something that makes no sense."),
    "not reached": _("%(other)s cannot be reached at the moment. Try again in a little while."),
    "not accepted": _(
        "%(other)s no longer accepts this connection. Connect again under Connections."
    ),
    "not allowed": _("%(other)s answered that this site is not allowed to do that."),
    "error": _("%(other)s answered with an error (HTTP %(status)s)."),
}


class CallFailed(Exception):
    """A call of the other site failed. ``str()`` is a text for the user: why the call failed, and
    what the user can do.

    :ivar reason: a short code for the reason. It can be stored: :func:`in_words` makes a text from
        it later, in the language that is current at that time.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    def __str__(self) -> str:
        return in_words(self.reason)


def in_words(reason: str) -> str:
    """Return the text for a ``reason`` of :class:`CallFailed`, in the current language. If
    ``reason`` is not one of these reasons, return it unchanged."""
    name, _colon, status = reason.partition(":")
    if name not in _REASONS:
        return reason
    names = {"site": settings.ROLE.name, "other": settings.ROLE.other.name, "status": status}
    return str(_REASONS[name]) % names


def call(user: Any, method: str, path: str, body: dict[str, str] | None = None) -> dict[str, Any]:
    """Call ``path`` at the other site on behalf of ``user``.

    :returns: the JSON object in the response.
    :raises CallFailed: the user has no link that can be used, or the other site cannot be reached,
        or it responds with an error.
    """
    try:
        session = reciprocal_oauth.get_session_for(user, settings.ROLE.other.slug)
        url = session.link.peer.homepage.rstrip("/") + "/" + path
        answer = session.request(method, url, json=body)
        content = answer.json() if answer.ok else {}
    except NotLinked:
        if Peer.objects.filter(slug=settings.ROLE.other.slug, enabled=False).exists():
            raise CallFailed("switched off") from None
        raise CallFailed("not let in") from None
    except requests.JSONDecodeError:
        raise CallFailed("no sense") from None
    except (requests.RequestException, ReciprocalError):
        raise CallFailed("not reached") from None
    if answer.status_code == requests.codes.unauthorized:
        raise CallFailed("not accepted")
    if answer.status_code == requests.codes.forbidden:
        raise CallFailed("not allowed")
    if not answer.ok or not isinstance(content, dict):
        raise CallFailed(f"error:{answer.status_code}")
    return content
