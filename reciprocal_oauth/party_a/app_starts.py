"""Starts: signed texts with which an app begins a connection in the browser of the system.

An app on a phone has an access token of the user, but no session in the browser. So the app asks
the JSON API for a URL of this site, and opens the URL in the browser (RFC 8252, section 6). The
query of the URL contains the start.

A start is no login. It only says what the app wants and for whom. The page at the URL does nothing
unless the browser is signed in as the same user and the person presses the button. Otherwise an
attacker could make a start of their own, and open it in the browser of a victim: this site would
link the account of the victim at the peer to the attacker (RFC 6749, section 10.12).
"""

from dataclasses import dataclass
from typing import Any

from django.core import signing
from django.views.decorators.debug import sensitive_variables
from oauth2_provider.models import get_application_model

from ..conf import settings
from ..core.hashing import hash_of
from ..models import Peer

#: The seconds for which the URL with a start can be opened.
LIFETIME_SECONDS = 300
#: The largest length of the text ``state`` of an app, in characters.
MAX_STATE_LENGTH = 200
_SALT = "reciprocal_oauth.app_start"


class StartRefused(Exception):
    """The text is no start of this site, or the start must not be used any more."""


class StartTooLate(StartRefused):
    """The start was good, but has expired.

    :ivar start: the expired start.
    """

    def __init__(self, start: "AppStart") -> None:
        super().__init__("the start has expired")
        self.start = start


class StartUsed(StartRefused):
    """The start has begun a connection before."""


@dataclass(frozen=True)
class AppStart:
    """What an app wants to begin.

    :ivar user: the primary key of the user, as text.
    :ivar peer: the primary key of the peer, as text.
    :ivar client_id: the client ID of the app at this site; empty for a front end with a session.
    :ivar return_to: the URL to which the user returns; empty for a page of this app.
    :ivar state: a text of the app, which it gets back.
    :ivar text_hash: the hash of the signed text; empty before it is signed.
    """

    user: str
    peer: str
    client_id: str
    return_to: str
    state: str
    text_hash: str = ""

    @property
    def application(self) -> Any:
        """Return the DOT application of the app, or ``None`` if there is none."""
        return get_application_model().objects.filter(client_id=self.client_id or None).first()


@sensitive_variables()
def sign(start: AppStart) -> str:
    """Return ``start`` as a signed text for the query of a URL. It is not encrypted."""
    values = [start.user, start.peer, start.client_id, start.return_to, start.state]
    return signing.dumps(values, salt=_SALT, compress=True)


@sensitive_variables()
def read(text: str, *, while_on_page: bool = False) -> AppStart:
    """Return the start in a signed text.

    :param while_on_page: whether the person was on the page of the start already. They may take as
        long for it as for a visit to the peer (``AUTHORIZATION_REQUEST_LIFETIME_SECONDS``).
    :raises StartTooLate: the start is older than :data:`LIFETIME_SECONDS`.
    :raises StartRefused: the text was not signed by this site for this purpose, or an app made it
        that may not start any more.
    """
    on_page = settings.AUTHORIZATION_REQUEST_LIFETIME_SECONDS if while_on_page else 0
    try:
        start = _unsigned(text, max_age=LIFETIME_SECONDS + on_page)
    except signing.SignatureExpired:
        raise StartTooLate(_unsigned(text, max_age=None)) from None
    except signing.BadSignature:
        raise StartRefused("the text is no start of this site") from None
    if start.client_id and (start.application is None or is_of_peer(start.application.pk)):
        raise StartRefused("the application may not start connections")
    return start


@sensitive_variables()
def _unsigned(text: str, *, max_age: int | None) -> AppStart:
    user, peer, client_id, return_to, state = signing.loads(text, salt=_SALT, max_age=max_age)
    return AppStart(user, peer, client_id, return_to, state, text_hash=hash_of(text))


def is_of_peer(application_pk: Any) -> bool:
    """Return whether a DOT application belongs to a peer, even a disabled one. A peer must not
    start a connection for a user: it could give itself more access than the user wanted."""
    return Peer.objects.filter(application=application_pk).exists()
