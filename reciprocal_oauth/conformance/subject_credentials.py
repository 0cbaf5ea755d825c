"""Reads how the subject authenticates to the tester (RFC 6749, section 2.3.1; RFC 7617)."""

import base64
import binascii
from urllib.parse import unquote_plus

from .config import Client
from .verdicts import Broken
from .wire.server import Received


def must_authenticate(received: Received, own: Client) -> None:
    """See that a token request of the subject has its credentials, in one way.

    :raises Broken: it has not.
    """
    header, in_body = received.header("Authorization"), received.all("client_secret")
    if header and in_body:
        raise Broken(
            "One way to authenticate.", "There is a header, and client_secret in the body."
        )
    ids = received.all("client_id")
    if header:
        must_be_basic(header, own)
        if ids not in ([], [own.client_id]):
            raise Broken("The client ID of the subject.", "client_id has another value.")
    elif in_body != [own.client_secret] or ids != [own.client_id]:
        raise Broken(
            "The client ID and the secret of the subject.",
            "They are wrong or sent twice." if in_body else "The request is not authenticated.",
        )


def must_be_basic(header: str, own: Client) -> None:
    """See that a header Authorization has the client ID and the secret, both form-encoded.

    :raises Broken: it has not.
    """
    scheme, _, value = header.partition(" ")
    if scheme.lower() != "basic":
        raise Broken("The scheme Basic.", f"The scheme is {scheme}.")
    try:
        decoded = base64.b64decode(value.strip(), validate=True).decode()
    except (binascii.Error, ValueError):
        raise Broken("Base64 of client ID, colon, secret.", "The header is not that.") from None
    client_id, _, secret = decoded.partition(":")
    if (unquote_plus(client_id), unquote_plus(secret)) == (own.client_id, own.client_secret):
        return
    if decoded == f"{own.client_id}:{own.client_secret}":
        raise Broken(
            "ID and secret are form-encoded before they are joined (RFC 6749, section 2.3.1).",
            "They are not encoded.",
        )
    is_id = unquote_plus(client_id) == own.client_id
    raise Broken(
        "The client ID and the secret of subject.at_tester, both form-encoded.",
        f"The {'secret' if is_id else 'client ID'} is another one.",
    )
