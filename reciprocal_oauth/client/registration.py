"""Registers this site as a client at another site, and manages the registration there.

This module follows RFC 7591, sections 3.1 (request), 3.2.1 (response) and 3.2.2 (error), and
RFC 7592, sections 2.1 (read), 2.2 (update), 2.3 (delete) and 3 (response). This is a request:

::

    POST /o/register/ HTTP/1.1
    Content-Type: application/json
    Authorization: Bearer WDyKJyPxQ4zW

    {"client_name": "Music", "redirect_uris": ["https://music.example/callback/"]}

Not implemented here: software statements (RFC 7591, section 2.3).
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from django.views.decorators.debug import sensitive_variables

from ..conf import settings
from ..core.peer_urls import origin_of, url_problem
from ..core.protocol import MAX_CLIENT_ID_LENGTH, MAX_CLIENT_SECRET_LENGTH, MAX_TOKEN_LENGTH
from ..exceptions import BadResponse, PeerRefused
from ..secret import Secret
from . import http
from .token_endpoint import members_of, refusal

#: The longest URL of a client configuration endpoint that is accepted, in characters.
MAX_URI_LENGTH = 500

#: The members of a response that only the server chooses. A client must not send the last three of
#: them back in an update (RFC 7592, section 2.2).
_OF_SERVER = (
    "client_id",
    "client_secret",
    "client_secret_expires_at",
    "client_id_issued_at",
    "registration_access_token",
    "registration_client_uri",
)
_NOT_SENT_BACK = _OF_SERVER[2:]

#: The characters of a client ID and of a client secret (RFC 6749, appendices A.1 and A.2). A token
#: has no space (RFC 6750, section 2.1).
_PRINTABLE = re.compile(r"[\x20-\x7e]+")
_TOKEN = re.compile(r"[\x21-\x7e]+")
#: The characters of an error description (RFC 6749, section 5.2).
_DESCRIPTION = re.compile(r"[\x20\x21\x23-\x5b\x5d-\x7e]{1,300}")
#: A word in an error description that can be a code or a token that this site has sent.
_LONG_WORD = re.compile(r"[A-Za-z0-9_~+/=.-]{32}")


@dataclass(frozen=True)
class Registration:
    """The registration of this site at another site (RFC 7591, section 3.2.1).

    :ivar client_secret: the client secret; ``None`` if the response contains none.
    :ivar client_secret_expires_at: when the client secret expires; ``None`` if it does not expire,
        or if the response does not say it.
    :ivar registration_access_token: the token for the client configuration endpoint (RFC 7592,
        section 3); ``None`` if the response contains none.
    :ivar registration_client_uri: the URL of this endpoint; ``""`` if the response contains none.
    :ivar metadata: all other members. They are as the other site has sent them, without a check.
    """

    client_id: str
    client_secret: Secret | None
    client_secret_expires_at: datetime | None
    registration_access_token: Secret | None
    registration_client_uri: str
    metadata: Mapping[str, Any] = field(repr=False)

    @property
    def is_managed(self) -> bool:
        """Return whether this site can read and change the registration (RFC 7592, section 3)."""
        return bool(self.registration_access_token and self.registration_client_uri)


@sensitive_variables()
def register(
    endpoint: str, body: Secret | str, token: Secret | None = None, *, is_foreign: bool = False
) -> Registration:
    """Register this site at another site (RFC 7591, section 3.1).

    :param endpoint: the client registration endpoint.
    :param body: the JSON object to send. It is sent as it is, because a site that gets the same
        bytes again can repeat its response.
    :param token: an initial access token (RFC 7591, section 1.2); ``None`` if there is none.
    :param is_foreign: ``True`` for a server of other software. Then status 200 is a success too,
        and a client configuration endpoint that cannot be used is ignored.
    :raises PeerRefused: the other site refused the request (RFC 7591, section 3.2.2).
    :raises BadResponse: the response has no usable client ID or another unusable member.
    :raises PeerUnreachable, AddressRefused: see :mod:`reciprocal_oauth.client.http`.
    """
    text = body.reveal() if isinstance(body, Secret) else body
    response = http.call(
        "POST",
        endpoint,
        body=text.encode(),
        headers={"Accept": "application/json", "Content-Type": "application/json"},
        bearer=token,
    )
    if response.status not in ((200, 201) if is_foreign else (201,)):
        raise _refusal(response, token)
    return _read(response, endpoint, is_foreign=is_foreign)


@sensitive_variables()
def read(uri: str, token: Secret, *, is_foreign: bool = False) -> Registration:
    """Read the registration of this site (RFC 7592, section 2.1).

    :param uri: the client configuration endpoint.
    :param token: the registration access token. The response can contain another one, which takes
        its place.
    :raises PeerRefused: the other site refused the request. Status 401 means that the token is not
        or no longer valid.
    :raises BadResponse, PeerUnreachable, AddressRefused: see :func:`register`.
    """
    response = http.call("GET", uri, headers={"Accept": "application/json"}, bearer=token)
    if response.status != 200:
        raise _refusal(response, token)
    return _read(response, uri, is_foreign=is_foreign)


@sensitive_variables()
def update(
    uri: str, token: Secret, members: Mapping[str, Any], *, is_foreign: bool = False
) -> Registration:
    """Replace the metadata of the registration (RFC 7592, section 2.2).

    :param uri: the client configuration endpoint.
    :param members: all metadata, with the client ID. Members that a client must not send are left
        out.
    :raises PeerRefused, BadResponse, PeerUnreachable, AddressRefused: see :func:`read`.
    """
    sent = {name: value for name, value in members.items() if name not in _NOT_SENT_BACK}
    response = http.call(
        "PUT",
        uri,
        body=json.dumps(sent).encode(),
        headers={"Accept": "application/json", "Content-Type": "application/json"},
        bearer=token,
    )
    if response.status != 200:
        raise _refusal(response, token)
    return _read(response, uri, is_foreign=is_foreign)


@sensitive_variables()
def delete(uri: str, token: Secret) -> None:
    """Delete the registration of this site (RFC 7592, section 2.3).

    :param uri: the client configuration endpoint.
    :raises PeerRefused, PeerUnreachable, AddressRefused: see :func:`read`.
    """
    response = http.call("DELETE", uri, headers={"Accept": "application/json"}, bearer=token)
    if not response.is_success:
        raise _refusal(response, token)


@sensitive_variables()
def _refusal(response: http.PeerResponse, token: Secret | None) -> PeerRefused:
    """Return the exception for an error response (RFC 7591, section 3.2.2), with the description
    of the other site if it is safe to show."""
    error = refusal(response)
    text = None if response.problem else members_of(response.body).get("error_description")
    if isinstance(text, str) and _is_safe(text, token):
        error.description = text
    return error


@sensitive_variables()
def _is_safe(description: str, token: Secret | None) -> bool:
    """Return whether an administrator may see ``description``: it has the form of RFC 6749, section
    5.2, and it does not send a secret back that this site has sent."""
    if not _DESCRIPTION.fullmatch(description) or _LONG_WORD.search(description):
        return False
    return not token or token.reveal() not in description


@sensitive_variables()
def _read(response: http.PeerResponse, endpoint: str, *, is_foreign: bool) -> Registration:
    """Return the registration in a response (RFC 7591, section 3.2.1; RFC 7592, section 3).

    :raises BadResponse: a member cannot be used.
    """
    members = members_of(response.body)
    client_id = _text(members, "client_id", _PRINTABLE, MAX_CLIENT_ID_LENGTH)
    if client_id is None:
        raise BadResponse("The registration response has no client_id.")
    secret = _text(members, "client_secret", _PRINTABLE, MAX_CLIENT_SECRET_LENGTH)
    token, uri = _management(members, endpoint, is_foreign=is_foreign)
    return Registration(
        client_id=client_id,
        client_secret=None if secret is None else Secret(secret),
        client_secret_expires_at=_time(members.get("client_secret_expires_at")),
        registration_access_token=token,
        registration_client_uri=uri,
        metadata={name: value for name, value in members.items() if name not in _OF_SERVER},
    )


@sensitive_variables()
def _management(
    members: Mapping[str, Any], endpoint: str, *, is_foreign: bool
) -> tuple[Secret | None, str]:
    """Return the registration access token and the client configuration endpoint (RFC 7592,
    section 3); ``None`` and ``""`` for those that the response does not contain.

    The endpoint must have the origin of ``endpoint``. So another site cannot make this site call a
    third host.

    :raises BadResponse: one of them cannot be used, and the other site is not foreign.
    """
    try:
        token = _text(members, "registration_access_token", _TOKEN, MAX_TOKEN_LENGTH)
        uri = _text(members, "registration_client_uri", _TOKEN, MAX_URI_LENGTH) or ""
        if uri and url_problem(uri, allow_loopback=settings.HTTP_ALLOW_LOOPBACK):
            raise BadResponse("The registration_client_uri is not a URL that can be called.")
        if uri and origin_of(uri) != origin_of(endpoint):
            raise BadResponse("The registration_client_uri is at another origin.")
    except BadResponse:
        if not is_foreign:
            raise
        return None, ""
    return None if token is None else Secret(token), uri


@sensitive_variables()
def _text(members: Mapping[str, Any], name: str, form: re.Pattern[str], longest: int) -> str | None:
    """Return the text in the member ``name``; ``None`` if it is missing or empty.

    :raises BadResponse: the member is no text, is too long or has another form.
    """
    value = members.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > longest or not form.fullmatch(value):
        raise BadResponse(f"The registration response has no usable {name}.")
    return value


def _time(seconds: object) -> datetime | None:
    """Return the time that is ``seconds`` after 1970-01-01; ``None`` for 0, which means that the
    secret does not expire (RFC 7591, section 3.2.1), and for what is no such number.

    A time that is too far away to be expressed is no time limit either.
    """
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        return None
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        return None
